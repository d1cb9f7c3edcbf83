import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createIdSource, type Slug } from "../../src/core/ids.ts";
import { createDevelopmentIssuers, type DevelopmentIssuers } from "../../src/data/development-issuers.ts";
import { createDevelopmentStorage } from "../../src/data/development-storage.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;
const ids = createIdSource(Date.now);
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  await database.admin("DELETE FROM bulkhead.issuers");
  await database.admin("DELETE FROM bulkhead.tenants");
  await database.admin("DELETE FROM bulkhead.development_storage");
});

let keys = 0;
const issuersAt = (base: string): DevelopmentIssuers =>
  createDevelopmentIssuers({
    system: database.system,
    ids,
    brokerName: "_shared",
    issuerOf: (slug) => `${base}/issuers/${slug ?? "_shared"}`,
    jwksUriOf: (issuer) => `${issuer}/jwks`,
    newSigningKey: async () => ({ key: keys++ }),
  });

async function createTenant(slug: string): Promise<{ id: string; slug: Slug }> {
  const tenant = { id: ids.tenant() as string, slug: slug as Slug };
  await database.admin("INSERT INTO bulkhead.tenants (id, slug, name, plan) VALUES ($1, $2, $2, 'free')", [
    tenant.id,
    slug,
  ]);
  return tenant;
}

test("every tenant and the broker have an issuer, and at another port the same one with the same key", async () => {
  const acme = await createTenant("acme");
  const globex = await createTenant("globex");
  await issuersAt("http://127.0.0.1:1").setUp();
  const before = await issuersAt("").find(acme.slug);
  expect(before).toMatchObject({
    issuer: "http://127.0.0.1:1/issuers/acme",
    tenants: [{ id: acme.id, slug: "acme", name: "acme" }],
  });
  await issuersAt("http://127.0.0.1:2").setUp();
  expect(await issuersAt("").find(acme.slug)).toEqual({
    ...before,
    issuer: "http://127.0.0.1:2/issuers/acme",
  });
  expect(await issuersAt("").find(null)).toMatchObject({
    issuer: "http://127.0.0.1:2/issuers/_shared",
    tenants: [{ id: acme.id }, { id: globex.id }],
  });
  const rows = await database.admin("SELECT 1 FROM bulkhead.issuers WHERE development");
  expect(rows).toHaveLength(3);
});

test("a new tenant gets one issuer, however many instances give it at the same moment", async () => {
  const instances = [1, 2, 3].map(() => issuersAt("http://127.0.0.1:1"));
  await instances[0]?.setUp();
  const tenant = await createTenant("initech");
  expect(await instances[0]?.find(tenant.slug)).toBeNull();
  await Promise.all(instances.map((one) => one.refresh()));
  const rows = await database.admin("SELECT * FROM bulkhead.issuers WHERE tenant_id = $1", [tenant.id]);
  expect(rows).toMatchObject([
    {
      issuer: "http://127.0.0.1:1/issuers/initech",
      jwks_uri: "http://127.0.0.1:1/issuers/initech/jwks",
      tenant_claim: "tenant_id",
      tenant_value: tenant.id,
      algorithms: ["ES256"],
      development: true,
    },
  ]);
  expect((await instances[1]?.find(null))?.tenants).toMatchObject([{ id: tenant.id }]);
});

test("a removed issuer stays away until the next start, and so does the mapping at the broker", async () => {
  const issuers = issuersAt("http://127.0.0.1:1");
  const tenant = await createTenant("acme");
  await issuers.setUp();
  await database.admin("DELETE FROM bulkhead.issuers WHERE tenant_id = $1", [tenant.id]);
  await database.admin("DELETE FROM bulkhead.broker_tenants WHERE tenant_id = $1", [tenant.id]);
  await createTenant("globex");
  await issuers.refresh();
  expect(await issuers.find(tenant.slug)).toBeNull();
  expect((await issuers.find(null))?.tenants.map(({ slug }) => slug)).toEqual(["globex"]);
  await issuers.setUp();
  expect(await issuers.find(tenant.slug)).not.toBeNull();
  expect((await issuers.find(null))?.tenants.map(({ slug }) => slug)).toEqual(["acme", "globex"]);
});

test("an issuer that a tenant registered itself is no development issuer", async () => {
  const tenant = await createTenant("acme");
  await database.admin(
    `INSERT INTO bulkhead.issuers (id, tenant_id, issuer, jwks_uri, algorithms)
     VALUES ($1, $2, 'https://login.example', 'https://login.example/jwks', '{RS256}')`,
    [ids.issuer(), tenant.id],
  );
  const issuers = issuersAt("http://127.0.0.1:1");
  expect(await issuers.find(tenant.slug)).toBeNull();
  await issuers.refresh();
  expect(await issuers.find(tenant.slug)).toMatchObject({ issuer: "http://127.0.0.1:1/issuers/acme" });
});

test("what clients were given goes with the tenant, at its own issuer and at the broker, and no other's", async () => {
  const issuers = issuersAt("http://127.0.0.1:1");
  const acme = await createTenant("acme");
  const globex = await createTenant("globex");
  await issuers.setUp();
  const storage = createDevelopmentStorage(database.system);
  const put = (issuer: string, id: string, account: string | null) =>
    storage.put(
      { issuer, kind: "Grant", id },
      { text: "{}", uid: null, grantId: null, consumed: null, account },
      null,
    );
  await put("acme", "client", null);
  await put("acme", "grant", "ada");
  await put("globex", "client", null);
  await put("_shared", "client", null);
  await put("_shared", "of acme", `${acme.id}/ada`);
  await put("_shared", "of globex", `${globex.id}/ada`);
  await database.admin("DELETE FROM bulkhead.broker_tenants WHERE tenant_id = $1", [acme.id]);
  await database.admin("DELETE FROM bulkhead.issuers WHERE tenant_id = $1", [acme.id]);
  await database.admin("DELETE FROM bulkhead.tenants WHERE id = $1", [acme.id]);
  await issuers.refresh();
  const rows = await database.admin<{ at: string }>(
    "SELECT issuer_name || ' ' || id AS at FROM bulkhead.development_storage WHERE kind = 'Grant' ORDER BY 1",
  );
  expect(rows.map(({ at }) => at)).toEqual(["_shared client", "_shared of globex", "globex client"]);
});
