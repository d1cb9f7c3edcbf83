import { systemClock } from "../../src/core/clock.ts";
import { createIdSource, type InstanceId, type TenantId } from "../../src/core/ids.ts";
import { createSignalRepository } from "../../src/data/signal-repository.ts";
import { createSignals, type InstanceSignals } from "../../src/data/signals.ts";
import type { SystemDoor } from "../../src/data/system-door.ts";
import type { TestDatabase } from "./database.ts";

const ids = createIdSource(systemClock.now);

/** The signals of an instance that hears no notification: it reads when it is told to. */
export interface TestSignals extends InstanceSignals {
  readonly instanceId: InstanceId;
  readonly faults: string[];
}

export async function startSignals(
  system: SystemDoor,
  monotonic = systemClock.monotonic,
): Promise<TestSignals> {
  const instanceId = ids.instance();
  const faults: string[] = [];
  const signals = createSignals({
    repository: createSignalRepository(system, instanceId),
    instanceId,
    monotonic,
    onFault: (message) => faults.push(message),
  });
  await signals.catchUp();
  return { ...signals, instanceId, faults };
}

/** Two tenants in a database. */
export async function addTwoTenants(database: TestDatabase): Promise<readonly [TenantId, TenantId]> {
  const tenants = [ids.tenant(), ids.tenant()] as const;
  await database.admin(
    "INSERT INTO bulkhead.tenants (id, slug, name, plan) VALUES ($1, 'acme', 'Acme', 'free'), ($2, 'globex', 'Globex', 'free')",
    [...tenants],
  );
  return tenants;
}
