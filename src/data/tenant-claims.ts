import { randomBytes } from "node:crypto";
import type { Clock } from "../core/clock.ts";
import type { InstanceId, TenantId } from "../core/ids.ts";
import type { SystemDoor } from "./system-door.ts";

/** Proof that a connection may act for a tenant: 256 random bits in hex, known to this instance and, hashed, to the database. */
export interface TenantClaim {
  readonly secret: string;
  /** Milliseconds since 1970 after which connections must enter with a newer claim. */
  readonly useUntil: number;
}

export interface TenantClaims {
  /** The claim to enter `tenantId` with; synchronous when this instance has one that is fresh. */
  claimFor(tenantId: TenantId): TenantClaim | Promise<TenantClaim>;
  /** Forgets a tenant's claim, so that the next connection asks the database again. */
  forget(tenantId: TenantId): void;
}

const LIFETIME_MS = 2 * 60 * 60 * 1000;
/** Used for half of its life: a connection that entered at the last moment still has an hour. */
const USE_MS = LIFETIME_MS / 2;
/** Claims held at once; beyond it the oldest is forgotten and would be issued anew. */
const MAX_CLAIMS = 20_000;

/** Issues claims through the system door, one a tenant and instance, anew every hour. */
export function createTenantClaims(options: {
  readonly system: SystemDoor;
  readonly clock: Clock;
  readonly instanceId: InstanceId;
}): TenantClaims {
  const { system, clock, instanceId } = options;
  const claims = new Map<TenantId, TenantClaim | Promise<TenantClaim>>();

  const issue = async (tenantId: TenantId): Promise<TenantClaim> => {
    const secret = randomBytes(32).toString("hex");
    await system.run("issue a tenant claim", async (db) => {
      // FOR KEY SHARE: without it a claim could be committed after the deletion of its tenant had removed the others.
      await db.query(
        `INSERT INTO bulkhead.tenant_claims (claim_hash, tenant_id, issued_by, expires_at)
         SELECT sha256(convert_to($1, 'UTF8')), t.id, $3, now() + make_interval(secs => $4)
           FROM bulkhead.tenants t WHERE t.id = $2 FOR KEY SHARE OF t`,
        [secret, tenantId, instanceId, LIFETIME_MS / 1000],
      );
    });
    return { secret, useUntil: clock.now() + USE_MS };
  };

  return {
    claimFor(tenantId) {
      const held = claims.get(tenantId);
      if (held !== undefined && (held instanceof Promise || held.useUntil > clock.now())) return held;
      const pending = issue(tenantId);
      claims.delete(tenantId);
      claims.set(tenantId, pending);
      const oldest = claims.size > MAX_CLAIMS ? claims.keys().next().value : undefined;
      if (oldest !== undefined) claims.delete(oldest);
      pending.then(
        (claim) => {
          if (claims.get(tenantId) === pending) claims.set(tenantId, claim);
        },
        () => {
          if (claims.get(tenantId) === pending) claims.delete(tenantId);
        },
      );
      return pending;
    },
    forget(tenantId) {
      claims.delete(tenantId);
    },
  };
}
