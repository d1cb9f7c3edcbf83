import { expect, test } from "vitest";
import { parsePrivateHosts } from "../../src/identity/private-hosts.ts";

test("names and addresses are taken, as a URL writes them", () => {
  expect(
    parsePrivateHosts(["ID.corp.example", "idp", "10.1.2.3", "fd00:0::1", "xn--mnchen-3ya.example"]),
  ).toEqual(["id.corp.example", "idp", "10.1.2.3", "fd00::1", "xn--mnchen-3ya.example"]);
});

test.each([
  "",
  " ",
  "http://x y",
  "https://idp.corp",
  "idp.corp:443",
  "idp.corp/",
  "10.0.0.0/8",
  "fd00::/8",
  "[fd00::1]",
  "*.corp",
  ".corp",
  "10.1",
  "999.1.1.1",
  "a@b",
  "m\u00fcnchen.example",
  "idp.corp\n",
])("%j, which would allow nothing, is refused", (host) => {
  expect(() => parsePrivateHosts(["idp.corp", host])).toThrow(
    expect.objectContaining({ code: "setting_invalid" }),
  );
});
