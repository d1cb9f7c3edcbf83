import { errorRow } from "../core/error-table.ts";
import { isRefusal, type Refusal } from "../core/refusal.ts";
import type { Authenticator } from "../identity/authenticator.ts";
import type { OperatorGate } from "../identity/operator-gate.ts";
import type { AddressLimiter } from "../limits/address-limiter.ts";
import type { TenantRateLimiter } from "../limits/tenant-rate-limiter.ts";
import type { AdminApiOptions } from "./admin-api.ts";
import type { AdminCaller } from "./admin-operation.ts";

/** Who may use the admin API: the operator by the operator's token, a tenant's administrators by their tenant's issuer. */
export function createAdminCallers(rooms: {
  readonly gate: OperatorGate;
  readonly authenticator: Pick<Authenticator, "administrator">;
  readonly addresses: AddressLimiter;
  readonly rates: Pick<TenantRateLimiter, "consume">;
}): AdminApiOptions["authenticate"] {
  const { gate, authenticator, addresses, rates } = rooms;
  return async ({ rawHeaders, url, method, address }, tenant): Promise<AdminCaller | Refusal> => {
    // First, and for any address: comparing a hash costs nothing, and no flood may lock the operator out.
    if (gate.admits(soleAuthorization(rawHeaders))) return { kind: "operator" };
    const flooding = addresses.check(address);
    const caller = await authenticator.administrator({ rawHeaders, url, method, address, flooding, tenant });
    if (isRefusal(caller)) {
      if (isFailure(caller)) addresses.failed(address);
      return caller;
    }
    const { snapshot } = caller;
    return rates.consume(snapshot.id, snapshot.limits) ?? { kind: "tenant", ...caller };
  };
}

/** Undefined where there are two: another server in front may have looked at the other one. */
function soleAuthorization(rawHeaders: readonly string[]): string | undefined {
  const sent = rawHeaders.filter(
    (_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === "authorization",
  );
  return sent.length === 1 ? sent[0] : undefined;
}

/** Credentials that are not valid. Good ones that may not do this, or an issuer that is away, are nobody's guessing. */
function isFailure({ code }: Refusal): boolean {
  const { http } = errorRow(code);
  return http === 400 || http === 401;
}
