import { describe, expect, it } from "vitest";
import { providerUrlFlaw } from "../../src/admin/provider-url.ts";

const PRODUCTION = { allowLoopback: false, allowQuery: false };
const DEVELOPMENT = { allowLoopback: true, allowQuery: false };

describe("a provider's URL", () => {
  it.each([
    "https://acme.eu.auth0.com/",
    "https://acme.okta.com",
    "https://acme.okta.com/oauth2/default",
    "https://login.microsoftonline.com/9122040d-6c67-4c5b-b112-36a304b66dad/v2.0",
    "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEf123",
    "https://sso.example:8443/realms/Acme",
    "https://xn--dp-tlc.example/",
    "https://10.0.0.7/realms/acme",
  ])("may be %s", (text) => {
    expect(providerUrlFlaw(text, PRODUCTION)).toBeNull();
  });

  it.each([
    ["", "ASCII"],
    ["acme.okta.com", "ASCII"],
    ["//acme.okta.com", "ASCII"],
    ["ftp://acme.okta.com", "ASCII"],
    ["javascript:alert(1)", "ASCII"],
    ["HTTPS://acme.okta.com", "ASCII"],
    [" https://acme.okta.com", "ASCII"],
    ["https://acme.okta.com ", "ASCII"],
    ["https://acme.okta.com/\n", "ASCII"],
    ["https://acme.okta.com\0", "ASCII"],
    ["https://аcme.okta.com", "ASCII"],
    ["https://acme.okta.com/\ud800", "ASCII"],
    ["https://", "ASCII"],
    ["https://[::1", "ASCII"],
    ["https://acme.okta.com:99999", "ASCII"],
    ["http://acme.okta.com", "https"],
    ["https://acme.okta.com?", "query"],
    ["https://acme.okta.com/?x=1", "query"],
    ["https://acme.okta.com#", "fragment"],
    ["https://acme.okta.com/#x", "fragment"],
    ["https://user@acme.okta.com/", "user"],
    ["https://user:word@acme.okta.com/", "user"],
    ["https://@acme.okta.com/", "normal form"],
    ["https://acme.okta.com:443/", "normal form"],
    ["https://Acme.okta.com/", "normal form"],
    ["https://acme.okta.com/a/../b", "normal form"],
    ["https://acme.okta.com/./", "normal form"],
    ["https://acme.okta.com\\@evil.example/", "normal form"],
    ["https:///acme.okta.com/", "normal form"],
    ["https://acme.okta.com/<x>", "normal form"],
    ["https://0x7f.1/", "normal form"],
    ["https://2130706433/", "normal form"],
    ["https://localhost/", "this machine"],
    ["https://idp.localhost/", "this machine"],
    ["https://localhost./", "this machine"],
    ["https://127.0.0.1/", "this machine"],
    ["https://127.9.9.9:8443/", "this machine"],
    ["https://[::1]/", "this machine"],
    ["http://localhost:8787/", "https"],
  ])("may not be %j in production", (text, reason) => {
    expect(providerUrlFlaw(text, PRODUCTION)).toContain(reason);
  });

  it("may be of this machine, and without TLS there, in development alone", () => {
    for (const text of [
      "http://127.0.0.1:9000/a",
      "http://localhost:9000",
      "http://[::1]:9000/",
      "https://localhost/",
    ])
      expect(providerUrlFlaw(text, DEVELOPMENT)).toBeNull();
    expect(providerUrlFlaw("http://acme.okta.com", DEVELOPMENT)).toContain("https");
    expect(providerUrlFlaw("http://localhost.example", DEVELOPMENT)).toContain("https");
    expect(providerUrlFlaw("http://10.0.0.7/", DEVELOPMENT)).toContain("https");
  });

  it("may have a query where it is no issuer", () => {
    const rules = { allowLoopback: false, allowQuery: true };
    expect(providerUrlFlaw("https://acme.b2clogin.com/keys?p=b2c_1_signin", rules)).toBeNull();
    expect(providerUrlFlaw("https://acme.b2clogin.com/keys?p=1#x", rules)).toContain("fragment");
  });
});
