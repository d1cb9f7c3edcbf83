import { afterEach, beforeEach, expect, test } from "vitest";
import { createGuardedFetch } from "../../src/identity/guarded-fetch.ts";
import { discoverIssuer } from "../../src/identity/issuer-discovery.ts";
import { type FakeIssuer, startFakeIssuer } from "./fake-issuer.ts";

const fetch = createGuardedFetch({ allowLoopbackHttp: true, allowPrivateAddresses: false });

let host: FakeIssuer;
let asked: string[];
beforeEach(async () => {
  host = await startFakeIssuer();
  asked = [];
});
afterEach(() => host.close());

/** Serves documents by path, and 404 elsewhere. */
function serve(documents: Readonly<Record<string, unknown>>): void {
  host.answer = (req, res) => {
    const path = req.url ?? "";
    asked.push(path);
    const document = Object.hasOwn(documents, path) ? documents[path] : undefined;
    if (document === undefined) res.writeHead(404).end();
    else res.end(typeof document === "string" ? document : JSON.stringify(document));
  };
}
const metadata = (issuer: string) => ({ issuer, jwks_uri: `${host.origin}/keys` });

test("an issuer with a path is looked for where RFC 8414 and then where OpenID says", async () => {
  const issuer = `${host.origin}/realms/acme`;
  serve({});
  expect(typeof (await discoverIssuer(issuer, fetch))).toBe("string");
  expect(asked).toEqual([
    "/.well-known/oauth-authorization-server/realms/acme",
    "/.well-known/openid-configuration/realms/acme",
    "/realms/acme/.well-known/openid-configuration",
  ]);
  for (const path of [...asked]) {
    serve({ [path]: metadata(issuer) });
    expect(await discoverIssuer(issuer, fetch), path).toEqual({ jwksUri: `${host.origin}/keys` });
  }
});

test("an issuer without a path is looked for in two places, with a slash or without", async () => {
  serve({});
  await discoverIssuer(host.origin, fetch);
  await discoverIssuer(`${host.origin}/`, fetch);
  const places = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];
  expect(asked).toEqual([...places, ...places]);
});

test("the slash at the end counts when issuers are compared", async () => {
  serve({ "/.well-known/openid-configuration": metadata(`${host.origin}/`) });
  expect(await discoverIssuer(`${host.origin}/`, fetch)).toEqual({ jwksUri: `${host.origin}/keys` });
  expect(await discoverIssuer(host.origin, fetch)).toContain(`those of another issuer, ${host.origin}/`);
});

test("a document of another issuer in one place does not hide the right one in the next", async () => {
  serve({
    "/.well-known/oauth-authorization-server": metadata("https://elsewhere.example"),
    "/.well-known/openid-configuration": metadata(host.origin),
  });
  expect(await discoverIssuer(host.origin, fetch)).toEqual({ jwksUri: `${host.origin}/keys` });
});

test.each([
  [
    "another issuer",
    (o: string) => ({ ...metadata(o), issuer: "https://elsewhere.example" }),
    "another issuer",
  ],
  [
    "a template, as Entra's common issuer",
    (o: string) => ({ ...metadata(o), issuer: `${o}/{tenantid}` }),
    "another issuer",
  ],
  ["no issuer", (o: string) => ({ ...metadata(o), issuer: undefined }), "another issuer"],
  ["no jwks_uri", (o: string) => ({ issuer: o }), "no jwks_uri"],
  ["jwks_uri is no text", (o: string) => ({ issuer: o, jwks_uri: [`${o}/keys`] }), "not an https URL"],
  ["jwks_uri is relative", (o: string) => ({ issuer: o, jwks_uri: "/keys" }), "not an https URL"],
  ["jwks_uri is a file", (o: string) => ({ issuer: o, jwks_uri: "file:///etc/passwd" }), "not an https URL"],
  [
    "jwks_uri has a password",
    (o: string) => ({ issuer: o, jwks_uri: "https://a:b@example.com/" }),
    "not an https URL",
  ],
  [
    "jwks_uri is endless",
    (o: string) => ({ issuer: o, jwks_uri: `${o}/${"k".repeat(2000)}` }),
    "not an https URL",
  ],
  [
    "a member twice",
    (o: string) => `{"issuer":"https://elsewhere.example","issuer":"${o}"}`,
    "a member twice",
  ],
  ["not JSON", () => "<html>", "not JSON"],
])("refused: %s", async (_name, document, flaw) => {
  serve({ "/.well-known/openid-configuration": document(host.origin) });
  expect(await discoverIssuer(host.origin, fetch)).toContain(flaw);
});

test.each([
  ["not a URL", "acme", "not a URL"],
  ["a query", "https://idp.example/?tenant=acme", "a query or a fragment"],
  ["an empty fragment", "https://idp.example/#", "a query or a fragment"],
  ["a private address", "https://10.0.0.1", "not public"],
  ["http elsewhere", "http://192.0.2.1", "not public"],
  ["a password", "https://a:b@10.0.0.1", "not public"],
])("refused without a question: %s", async (_name, issuer, flaw) => {
  expect(await discoverIssuer(issuer, fetch)).toContain(flaw);
});

test.each([
  "not public",
  "https://x.example/ not public",
  "https://x.example/\u001b[2J",
  `https://x.example/${"a".repeat(500)}`,
  ["https://x.example/"],
])("what is no name of an issuer is not repeated: %j", async (issuer) => {
  const read = async () => Buffer.from(JSON.stringify({ issuer }));
  const flaws = String(await discoverIssuer("https://idp.example", read)).split("; ");
  for (const flaw of flaws) expect(flaw).toMatch(/: the metadata are those of another issuer$/);
});

test("an issuer on https cannot lead to keys on http", async () => {
  const read = async () =>
    Buffer.from(JSON.stringify({ issuer: "https://idp.example", jwks_uri: "http://idp.example/k" }));
  expect(await discoverIssuer("https://idp.example", read)).toContain("not an https URL");
});
