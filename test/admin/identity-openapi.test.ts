import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type IdentityServer, startIdentityServer } from "./identity-server.ts";

let server: IdentityServer;
let validates: (name: string, value: unknown) => boolean;
let properties: (name: string) => string[];

beforeAll(async () => {
  server = await startIdentityServer();
  await server.call("PATCH", "/tenants/acme", { body: { apiKeys: true, roles: { agent: [] } } });
  const { body: document } = await server.call("GET", "/openapi.json", { token: null });
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(document, "doc");
  validates = (name, value) => ajv.getSchema(`doc#/components/schemas/${name}`)?.(value) === true;
  const { schemas } = document.components as { schemas: Record<string, { properties: object }> };
  properties = (name) => Object.keys(schemas[name]?.properties ?? {}).sort();
});
afterAll(() => server.stop());

const ISSUER = { issuer: "https://idp.example/", jwksUri: "https://idp.example/jwks" };
const CLIENT = { endpoint: "https://idp.example/i", clientId: "c", clientSecret: "s" };

it.each([
  ["NewIssuer", { ...ISSUER, tenantClaim: null }, { ...ISSUER, tenantClaim: "" }],
  ["NewIssuer", { ...ISSUER, introspection: CLIENT }, { ...ISSUER, introspection: { ...CLIENT, x: 1 } }],
  ["NewIssuer", { ...ISSUER, algorithms: ["ES256"] }, { ...ISSUER, algorithms: ["HS256"] }],
  ["NewBroker", { ...ISSUER, tenantClaim: "org" }, { ...ISSUER, tenantValue: "x" }],
  ["NewApiKey", { name: "x", permissions: ["a:*"] }, { name: "x", permissions: [] }],
  ["NewApiKey", { name: "x", permissions: ["a"], expiresAt: "2027-01-01T00:00:00Z" }, { name: "x" }],
  ["NewRevocation", { issuer: ISSUER.issuer, jti: "x" }, { issuer: ISSUER.issuer, kind: "x" }],
  ["NewRevocation", { notBefore: 1_700_000_000 }, {}],
  ["NewRevocation", { notBefore: "2026-01-31T12:00:00Z" }, { notBefore: null }],
  ["NewRoleAssignment", { issuer: "https://x", subject: "s", roles: ["r"] }, { issuer: "https://x" }],
  ["TenantChange", { apiKeys: true, dpop: "allow" }, { dpop: "on" }],
])("%s is described as it is validated: %j, and not %j", (name, right, wrong) => {
  expect(validates(name, right)).toBe(true);
  expect(validates(name, wrong)).toBe(false);
});

it("what is answered is described, member by member", async () => {
  const post = async (path: string, body: object, method = "POST") =>
    (await server.call(method, path, { body })).body;
  const list = async (path: string) => (await server.call("GET", path)).body;
  const answers: readonly (readonly [string, string, Record<string, unknown>])[] = [
    [
      "Issuer",
      "IssuerPage",
      await post("/tenants/acme/issuers", { ...ISSUER, tenantClaim: null, introspection: CLIENT }),
    ],
    [
      "Issuer",
      "BrokerPage",
      await post("/brokers", { ...ISSUER, issuer: "https://b.example/", tenantClaim: "org" }),
    ],
    ["CreatedApiKey", "ApiKeyPage", await post("/tenants/acme/keys", { name: "x", permissions: ["a"] })],
    [
      "PutRoleAssignment",
      "RoleAssignmentPage",
      await post(
        "/tenants/acme/role-assignments",
        { issuer: "https://x", subject: "s", roles: ["agent"] },
        "PUT",
      ),
    ],
  ];
  const paths = ["/tenants/acme/issuers", "/brokers", "/tenants/acme/keys", "/tenants/acme/role-assignments"];
  for (const [index, [name, page, body]] of answers.entries()) {
    expect(validates(name, body), name).toBe(true);
    expect(Object.keys(body).sort()).toEqual(properties(name));
    expect(validates(page, await list(paths[index] ?? "")), page).toBe(true);
  }
  for (const body of [
    { issuer: "https://x", jti: "x" },
    { issuer: "https://x", subject: "x" },
    { issuer: "https://x", keyId: "x" },
    { notBefore: 1 },
  ]) {
    const revoked = await post("/tenants/acme/revocations", body);
    expect(validates("CreatedRevocation", revoked)).toBe(true);
    expect(properties("CreatedRevocation")).toEqual(expect.arrayContaining(Object.keys(revoked)));
  }
  expect(validates("RevocationPage", await list("/tenants/acme/revocations"))).toBe(true);
});
