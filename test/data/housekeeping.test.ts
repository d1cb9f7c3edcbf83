import { expect, test } from "vitest";
import { createConfigurationSource } from "../../src/data/configuration-repository.ts";
import { removeExpired } from "../../src/data/housekeeping.ts";
import { createTestDatabase } from "../support/database.ts";

test("expired claims and old notes of changes go; an instance that slept longer takes everything for changed", async () => {
  const database = await createTestDatabase();
  try {
    await database.admin(`
      INSERT INTO bulkhead.tenants (id, slug, name, plan) VALUES ('tnt_0123456789abcdefghjkmnpqrs', 'acme', 'Acme', 'free');
      INSERT INTO bulkhead.tenant_claims (claim_hash, tenant_id, issued_by, expires_at)
        VALUES ('a', 'tnt_0123456789abcdefghjkmnpqrs', 'x', now() - interval '1 hour'), ('b', 'tnt_0123456789abcdefghjkmnpqrs', 'x', now() + interval '1 hour')`);
    const source = createConfigurationSource(database.system);
    const { version } = await source.changesSince(0);
    await database.admin("UPDATE bulkhead.tenants SET name = 'Acme Ltd'");
    expect(await source.changesSince(version)).toEqual({
      version: version + 1,
      tenants: ["tnt_0123456789abcdefghjkmnpqrs"],
      everything: false,
    });
    await database.admin("UPDATE bulkhead.configuration_changes SET at = now() - interval '8 days'");
    await removeExpired(database.system);
    expect(await source.changesSince(version)).toEqual({
      version: version + 1,
      tenants: [],
      everything: true,
    });
    expect(await database.admin("SELECT claim_hash FROM bulkhead.tenant_claims")).toEqual([
      { claim_hash: Buffer.from("b") },
    ]);
  } finally {
    await database.drop();
  }
});
