import type { AdminApiOptions } from "../../src/admin/admin-api.ts";
import { createAdminCallers } from "../../src/admin/admin-callers.ts";
import { systemClock } from "../../src/core/clock.ts";
import { createIdSource, parseSlug } from "../../src/core/ids.ts";
import { refuse } from "../../src/core/refusal.ts";
import { createConfigurationSource } from "../../src/data/configuration-repository.ts";
import type { SystemDoor } from "../../src/data/system-door.ts";
import type { Credential } from "../../src/identity/credential.ts";
import { createOperatorGate } from "../../src/identity/operator-gate.ts";
import { createAddressLimiter } from "../../src/limits/address-limiter.ts";
import { createTenantRateLimiter } from "../../src/limits/tenant-rate-limiter.ts";
import type { Principal } from "../../src/tenancy/principal.ts";
import { OPERATOR_TOKEN } from "./admin-server.ts";

const ISSUER = "https://issuer.test";

/** What the port {@link callersByName} takes for the token of an administrator of a tenant. */
export const administratorOf = (slug: string): string => `administrator.${slug}`;

/** The actor of {@link administratorOf}. */
export const ADMINISTRATOR = {
  kind: "user",
  subject: "ada",
  issuer: ISSUER,
  clientId: "console",
} as const;

const CREDENTIAL: Credential = {
  kind: "token",
  issuerId: createIdSource(systemClock.now).issuer(),
  issuer: ISSUER,
  subject: ADMINISTRATOR.subject,
  tokenId: null,
  issuedAt: 0,
  signingKeyId: null,
  roles: [],
  bound: false,
  expiresAt: Number.MAX_SAFE_INTEGER,
};

/** Callers as the server knows them, but for tokens, which only name a tenant. Snapshots are those of the database. */
export function callersByName(system: SystemDoor): AdminApiOptions["authenticate"] {
  const source = createConfigurationSource(system);
  return createAdminCallers({
    gate: createOperatorGate(OPERATOR_TOKEN),
    authenticator: {
      async administrator({ rawHeaders }) {
        const at = rawHeaders.findIndex((name) => name.toLowerCase() === "authorization");
        const slug = parseSlug(/^Bearer administrator\.(.+)$/.exec(rawHeaders[at + 1] ?? "")?.[1] ?? "");
        const id = slug === null ? null : (await source.idOfSlug(slug)).found;
        const snapshot = id === null ? null : (await source.snapshotOfId(id)).found;
        if (snapshot === null) return refuse("operator_token_required");
        const principal: Principal = {
          ...ADMINISTRATOR,
          tenantId: snapshot.id,
          permissions: new Set(["admin"]),
          roles: [],
          expiresAt: Number.MAX_SAFE_INTEGER,
        };
        return { snapshot, principal, credential: CREDENTIAL, scopes: principal.permissions };
      },
    },
    addresses: createAddressLimiter(systemClock),
    rates: createTenantRateLimiter(systemClock),
  });
}
