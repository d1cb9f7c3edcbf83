/** Reads rows through the tenant door: the same pool, the same template, from a protected table or from one that is not. */

import { systemClock } from "../../src/core/clock.ts";
import { createIdSource, type TenantId } from "../../src/core/ids.ts";
import { connectionSettings, doorSettings } from "../../src/data/connection-settings.ts";
import { createSystemDoor, type SystemDoor } from "../../src/data/system-door.ts";
import { createTenantClaims } from "../../src/data/tenant-claims.ts";
import { createTenantConnections } from "../../src/data/tenant-connections.ts";
import { createTenantDoor, type TenantDoor } from "../../src/data/tenant-door.ts";
import type { TenantSql } from "../../src/tenancy/tenant-context.ts";
import { answerOrders } from "./answer-orders.ts";

export type ReaderOrder =
  | { readonly do: "open"; readonly databaseUrl: string; readonly connections: number }
  | ({ readonly do: "read"; readonly seconds: number } & ReadOrder);

export interface ReadOrder {
  readonly table: "items" | "unprotected_items";
  /** Read from in turn. */
  readonly tenants: readonly TenantId[];
  /** True: every connection stays with the first tenant, whatever is read. Only an unprotected table allows that. */
  readonly staysEntered: boolean;
  readonly rowsOfTenant: number;
  readonly concurrency: number;
}

export interface ReaderReport {
  readonly statementsPerSecond: number;
  /** Part of the time for which this process used its core. */
  readonly busy: number;
}

let system: SystemDoor | null = null;
let door: TenantDoor | null = null;

answerOrders<ReaderOrder>({
  async answer(order) {
    if (order.do === "read") return read(order);
    const admin = connectionSettings(order.databaseUrl);
    const settings = doorSettings(admin, "bulkhead_tenant");
    system = createSystemDoor(doorSettings(admin, "bulkhead_system"), { connections: 5 });
    door = createTenantDoor({
      settings,
      connections: createTenantConnections({
        settings,
        claims: createTenantClaims({
          system,
          clock: systemClock,
          instanceId: createIdSource(Date.now).instance(),
        }),
        clock: systemClock,
        connections: order.connections,
        acquireTimeoutMs: 10_000,
      }),
    });
    return null;
  },
  async close() {
    await door?.close();
    await system?.close();
  },
});

async function read(order: ReadOrder & { readonly seconds: number }): Promise<ReaderReport> {
  const opened = door;
  const [first] = order.tenants;
  if (opened === null || first === undefined)
    throw new TypeError("The door is not open, or there is no tenant.");
  let turn = 0;
  let done = 0;
  const started = performance.now();
  const until = started + order.seconds * 1000;
  const cpu = process.cpuUsage();
  const readOn = async (): Promise<void> => {
    while (performance.now() < until) {
      const tenantId = order.tenants[turn % order.tenants.length] ?? first;
      const id = (turn++ % order.rowsOfTenant) + 1;
      const entered = order.staysEntered ? first : tenantId;
      const sql = opened.open({ tenantId: entered, readOnly: true, statementTimeoutMs: 30_000 });
      const rows = await statement(sql, { table: order.table, tenantId, id });
      if (rows.length !== 1 || rows[0]?.id !== id)
        throw new TypeError(`Row ${id} of ${tenantId} was not read from ${order.table}.`);
      done++;
    }
  };
  await Promise.all(Array.from({ length: order.concurrency }, readOn));
  const milliseconds = performance.now() - started;
  const used = process.cpuUsage(cpu);
  return {
    statementsPerSecond: (done / milliseconds) * 1000,
    busy: (used.user + used.system) / 1000 / milliseconds,
  };
}

/** What a tool would write; without row-level security it has to name the tenant itself. */
function statement(
  sql: TenantSql,
  row: { readonly table: ReadOrder["table"]; readonly tenantId: TenantId; readonly id: number },
): PromiseLike<readonly { readonly id: number }[]> {
  return row.table === "items"
    ? sql<{ id: number }>`SELECT id, subject, body FROM items WHERE id = ${row.id}`
    : sql<{
        id: number;
      }>`SELECT id, subject, body FROM unprotected_items WHERE tenant_id = ${row.tenantId} AND id = ${row.id}`;
}
