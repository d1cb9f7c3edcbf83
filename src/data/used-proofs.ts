import type { TenantId } from "../core/ids.ts";
import type { SystemDoor } from "./system-door.ts";

/** Proofs of possession that were used, on whichever instance. */
export interface UsedProofs {
  /**
   * Takes a proof's hash down. Of any number of calls at the same moment, on any instances, one is the first.
   *
   * @param expiresAt milliseconds since 1970, after which it may be forgotten.
   * @returns false where it was there already.
   * @throws Fault `database_unavailable`.
   */
  remember(tenantId: TenantId, hash: Uint8Array, expiresAt: number): Promise<boolean>;
}

export function createUsedProofs(system: SystemDoor): UsedProofs {
  return {
    remember: (tenantId, hash, expiresAt) =>
      system.run("remember a used proof", async (db) => {
        const { rowCount } = await db.query(
          `INSERT INTO bulkhead.used_proofs (tenant_id, proof_hash, expires_at) VALUES ($1, $2, $3)
           ON CONFLICT (tenant_id, proof_hash) DO NOTHING`,
          [tenantId, hash, new Date(expiresAt)],
        );
        return rowCount === 1;
      }),
  };
}
