import type { InstanceId } from "../core/ids.ts";
import type { SystemDoor } from "./system-door.ts";

/** The register of instances: who runs, and who was last heard of when. */
export interface InstanceRepository {
  register(instance: {
    readonly id: InstanceId;
    readonly mode: string;
    readonly version: string;
  }): Promise<void>;
  heartbeat(id: InstanceId): Promise<void>;
  stopped(id: InstanceId): Promise<void>;
  /** Marks every other instance as stopped: for a development server, which knows that it is alone. */
  stopAllOthers(id: InstanceId): Promise<void>;
}

export function createInstanceRepository(system: SystemDoor): InstanceRepository {
  const run = (text: string, values: readonly unknown[]): Promise<void> =>
    system.run("keep the instance alive", async (db) => {
      await db.query(text, values);
    });
  return {
    register: ({ id, mode, version }) =>
      run("INSERT INTO bulkhead.instances (id, mode, version) VALUES ($1, $2, $3)", [id, mode, version]),
    heartbeat: (id) =>
      run("UPDATE bulkhead.instances SET seen_at = now(), recovered_at = NULL WHERE id = $1", [id]),
    stopped: (id) =>
      run("UPDATE bulkhead.instances SET stopped_at = now(), seen_at = now() WHERE id = $1", [id]),
    stopAllOthers: (id) =>
      run("UPDATE bulkhead.instances SET stopped_at = now() WHERE id <> $1 AND stopped_at IS NULL", [id]),
  };
}
