import { type Refusal, refuse } from "../core/refusal.ts";
import type { AdminCaller } from "./admin-operation.ts";
import type { IssuerStanding } from "./issuer-administration.ts";

/**
 * Refuses an issuer that somebody has. The operator is told which tenant: anybody may have registered an issuer that is
 * not theirs, and the operator is who can remove it. Tenants are not told of each other.
 */
export function issuerTaken(standing: IssuerStanding, by: AdminCaller): Refusal {
  if (by.kind !== "operator" || standing.kind !== "taken" || standing.holder === null) {
    return refuse("issuer_refused");
  }
  return refuse("issuer_refused", { detail: `This issuer is registered for the tenant ${standing.holder}.` });
}
