import type { Slug } from "../core/ids.ts";
import { type Refusal, refuse } from "../core/refusal.ts";
import type { AdminCaller } from "./admin-operation.ts";
import type { IssuerStanding } from "./issuer-administration.ts";

/**
 * Refuses an issuer that somebody has. The operator is told which tenant: anybody may have registered an issuer that is
 * not theirs, and the operator is who can remove it. Tenants are not told of each other, only that they have it themselves.
 *
 * @param tenant that it was to be registered for; null: it was to be a broker.
 */
export function issuerTaken(standing: IssuerStanding, by: AdminCaller, tenant: Slug | null): Refusal {
  const holder = standing.kind === "taken" ? standing.holder : null;
  if (holder !== null && holder === tenant) {
    return refuse("issuer_refused", { detail: "This issuer is already registered for this tenant." });
  }
  if (by.kind === "operator" && holder !== null) {
    return refuse("issuer_refused", { detail: `This issuer is registered for the tenant ${holder}.` });
  }
  return tenant === null ? noBroker() : refuse("issuer_refused");
}

/** The table's text speaks of a tenant. */
export function noBroker(): Refusal {
  return refuse("issuer_refused", { detail: "This issuer cannot be declared as a broker." });
}
