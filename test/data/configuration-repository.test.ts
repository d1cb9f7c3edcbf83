import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import {
  type ApiKeyId,
  createIdSource,
  type IssuerId,
  type Slug,
  type TenantId,
} from "../../src/core/ids.ts";
import { createConfigurationSource } from "../../src/data/configuration-repository.ts";
import { connectionSettings, doorSettings } from "../../src/data/connection-settings.ts";
import { createSystemDoor } from "../../src/data/system-door.ts";
import type { ConfigurationSource } from "../../src/tenancy/configuration-source.ts";
import { createTenantDirectory, type TenantDirectory } from "../../src/tenancy/tenant-directory.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;
let source: ConfigurationSource;
let acme: TenantId;
let globex: TenantId;
let key: ApiKeyId;
let broker: IssuerId;

beforeEach(async () => {
  database = await createTestDatabase();
  source = createConfigurationSource(database.system);
  const ids = createIdSource(systemClock.now);
  [acme, globex, key, broker] = [ids.tenant(), ids.tenant(), ids.apiKey(), ids.issuer()];
  await database.admin(
    `INSERT INTO bulkhead.tenants (id, slug, name, plan, api_keys) VALUES ($1, 'acme', 'Acme', 'free', true), ($2, 'globex', 'Globex', 'free', true)`,
    [acme, globex],
  );
  await database.admin(
    `INSERT INTO bulkhead.api_keys (id, tenant_id, name, secret_hash, permissions, expires_at, created_by)
     VALUES ($1, $2, 'ci', sha256('x'), '{a}', now() + interval '1 day', '{}')`,
    [key, acme],
  );
  await database.admin(
    `INSERT INTO bulkhead.issuers (id, issuer, jwks_uri, tenant_claim) VALUES ($1, 'https://broker.example', 'https://broker.example/keys', 'org')`,
    [broker],
  );
  await map("acme-org", acme);
});
afterEach(() => database.drop());

/** As the admin API does: a mapping goes, and another one comes. */
async function map(value: string, tenant: TenantId): Promise<void> {
  await database.admin("DELETE FROM bulkhead.broker_tenants WHERE issuer_id = $1 AND claim_value = $2", [
    broker,
    value,
  ]);
  await database.admin(
    "INSERT INTO bulkhead.broker_tenants (issuer_id, claim_value, tenant_id) VALUES ($1, $2, $3)",
    [broker, value, tenant],
  );
}
async function version(): Promise<number> {
  const rows = await database.admin<{ version: string }>(
    "SELECT version FROM bulkhead.configuration_version",
  );
  return Number(rows[0]?.version);
}

test("names lead to a tenant's id, and ids to its snapshot, each with the version that it is of", async () => {
  const now = await version();
  expect(await source.idOfSlug("acme" as Slug)).toEqual({ found: acme, version: now });
  expect(await source.idOfKey(key)).toEqual({ found: acme, version: now });
  expect(await source.idOfClaim(broker, "acme-org")).toEqual({ found: acme, version: now });
  const { found, version: read } = await source.snapshotOfId(acme);
  expect([read, found?.version, found?.slug]).toEqual([now, now, "acme"]);
  expect([...(found?.apiKeys.keys() ?? [])]).toEqual([key]);
});

test("what is not there has a version as well", async () => {
  const ids = createIdSource(systemClock.now);
  const nothing = { found: null, version: await version() };
  expect(await source.idOfSlug("acm" as Slug)).toEqual(nothing);
  expect(await source.idOfKey(ids.apiKey())).toEqual(nothing);
  expect(await source.idOfClaim(broker, "acme")).toEqual(nothing);
  expect(await source.idOfClaim(ids.issuer(), "acme-org")).toEqual(nothing);
  expect(await source.snapshotOfId(ids.tenant())).toEqual(nothing);
});

test("a key leads nowhere where its tenant has turned keys off", async () => {
  await database.admin("UPDATE bulkhead.tenants SET api_keys = false WHERE id = $1", [acme]);
  expect(await source.idOfKey(key)).toEqual({ found: null, version: await version() });
});

test("the configuration is watched, and a change of it seen, while all other connections are in use", async () => {
  const settings = doorSettings(connectionSettings(database.adminUrl), "bulkhead_system");
  const door = createSystemDoor(settings, { connections: 2 });
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  try {
    const begun: Promise<void>[] = [];
    const works = [0, 1].map(() => {
      let begin = () => {};
      begun.push(
        new Promise((resolve) => {
          begin = resolve;
        }),
      );
      return door.run("read configuration", () => {
        begin();
        return released;
      });
    });
    await Promise.all(begun);
    const watching = createConfigurationSource(door);
    const before = await version();
    await database.admin("UPDATE bulkhead.tenants SET name = 'Acme Ltd' WHERE id = $1", [acme]);
    expect(await watching.changesSince(before)).toEqual({
      version: before + 1,
      tenants: [acme],
      everything: false,
    });
    release();
    await Promise.all(works);
  } finally {
    release();
    await door.close();
  }
});

test("more than 10,000 changes are told as everything, without reading them", async () => {
  const before = await version();
  const note = (n: number) =>
    database.admin(
      `WITH next AS (UPDATE bulkhead.configuration_version SET version = version + $1 RETURNING version)
       INSERT INTO bulkhead.configuration_changes (version, tenant_id)
       SELECT n, $2 FROM next, generate_series(next.version - $1 + 1, next.version) AS n`,
      [n, acme],
    );
  await note(10_000);
  expect(await source.changesSince(before)).toEqual({
    version: before + 10_000,
    tenants: [acme],
    everything: false,
  });
  await note(1);
  expect(await source.changesSince(before)).toEqual({
    version: before + 10_001,
    tenants: [],
    everything: true,
  });
});

test.each([
  ["slug", (directory: TenantDirectory) => directory.bySlug("acme" as Slug)],
  ["key", (directory: TenantDirectory) => directory.byKey(key)],
])("a key that was deleted while its tenant's snapshot was coming is not in it, by %s", async (_how, ask) => {
  const coming: (() => void)[] = [];
  const directory = createTenantDirectory({
    source: {
      ...source,
      async snapshotOfId(id) {
        const read = await source.snapshotOfId(id);
        await new Promise<void>((resolve) => coming.push(resolve));
        return read;
      },
    },
    clock: systemClock,
    maxStaleMs: 5_000,
  });
  await directory.refresh();
  const asked = ask(directory);
  await expect.poll(() => coming.length).toBe(1);
  await database.admin("DELETE FROM bulkhead.api_keys WHERE id = $1", [key]);
  await directory.refresh();
  coming[0]?.();
  await expect.poll(() => coming.length).toBe(2);
  coming[1]?.();
  const snapshot = await asked;
  expect([snapshot?.id, snapshot?.apiKeys.size]).toEqual([acme, 0]);
});

test("a mapping that moves after it was read whom it leads to leads to a snapshot that no longer has it, and then to the new one", async () => {
  let moved = false;
  const directory = createTenantDirectory({
    source: {
      ...source,
      async idOfClaim(issuer, value) {
        const read = await source.idOfClaim(issuer, value);
        if (!moved) await map("acme-org", globex);
        moved = true;
        return read;
      },
    },
    clock: systemClock,
    maxStaleMs: 5_000,
  });
  await directory.refresh();
  const early = await directory.byClaim(broker, "acme-org");
  expect([early?.id, early?.issuers]).toEqual([acme, []]);
  await directory.refresh();
  const late = await directory.byClaim(broker, "acme-org");
  expect([late?.id, late?.issuers.map(({ tenantValue }) => tenantValue)]).toEqual([globex, ["acme-org"]]);
});
