import { systemClock } from "../../src/core/clock.ts";
import { createIdSource, type TenantId } from "../../src/core/ids.ts";
import { connectionSettings, doorSettings } from "../../src/data/connection-settings.ts";
import { createTenantClaims } from "../../src/data/tenant-claims.ts";
import {
  createTenantConnections,
  type EntryMode,
  type TenantConnections,
} from "../../src/data/tenant-connections.ts";
import { createTenantDoor, type TenantDoor } from "../../src/data/tenant-door.ts";
import type { TenantSql } from "../../src/tenancy/tenant-context.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";

/** A tenant door over a table `notes` in which two tenants have rows. */
export interface DoorFixture {
  readonly database: TestDatabase;
  readonly connections: TenantConnections;
  readonly door: TenantDoor;
  readonly acme: TenantId;
  readonly globex: TenantId;
  as(tenantId: TenantId, mode?: Partial<EntryMode>): TenantSql;
  close(): Promise<void>;
}

/** @param size connections of the door; with one, tenants are sure to follow each other on it. */
export async function openDoorFixture(size = 1): Promise<DoorFixture> {
  const database = await createTestDatabase();
  const ids = createIdSource(systemClock.now);
  const acme = ids.tenant();
  const globex = ids.tenant();
  await database.admin(
    "INSERT INTO bulkhead.tenants (id, slug, name, plan) VALUES ($1, 'acme', 'Acme', 'free'), ($2, 'globex', 'Globex', 'free')",
    [acme, globex],
  );
  await database.admin(`
    SET ROLE bulkhead_owner;
    CREATE TABLE app.notes (id bigserial PRIMARY KEY, body text NOT NULL);
    SELECT bulkhead.protect_table('app.notes');
    RESET ROLE`);
  const settings = doorSettings(connectionSettings(database.adminUrl), "bulkhead_tenant");
  const claims = createTenantClaims({
    system: database.system,
    clock: systemClock,
    instanceId: ids.instance(),
  });
  const connections = createTenantConnections({
    settings,
    claims,
    clock: systemClock,
    connections: size,
    acquireTimeoutMs: 5_000,
  });
  const door = createTenantDoor({ settings, connections });
  const as = (tenantId: TenantId, mode: Partial<EntryMode> = {}): TenantSql =>
    door.open({ tenantId, readOnly: false, statementTimeoutMs: 5_000, ...mode });
  await as(acme)`INSERT INTO notes (body) VALUES ('acme one'), ('acme two')`;
  await as(globex)`INSERT INTO notes (body) VALUES ('globex secret')`;
  return {
    database,
    connections,
    door,
    acme,
    globex,
    as,
    async close() {
      await door.close();
      await database.drop();
    },
  };
}
