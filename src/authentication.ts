/** How callers are known: builds what verifies credentials, and what registering an issuer needs of it. */
import type { IssuerPorts } from "./admin/issuer-ports.ts";
import type { Clock } from "./core/clock.ts";
import type { Slug } from "./core/ids.ts";
import type { SystemDoor } from "./data/system-door.ts";
import { createUsedProofs } from "./data/used-proofs.ts";
import { type Authenticator, createAuthenticator } from "./identity/authenticator.ts";
import { createProofChecker } from "./identity/dpop-proof.ts";
import { createGuardedFetch } from "./identity/guarded-fetch.ts";
import { createIntrospector, introspectionSecretContext } from "./identity/introspection.ts";
import { discoverIssuer } from "./identity/issuer-discovery.ts";
import { createKeySets } from "./identity/key-sets.ts";
import type { SecretBox } from "./identity/secret-box.ts";
import { createTokenVerifier } from "./identity/token-verifier.ts";
import type { TenantRateLimiter } from "./limits/tenant-rate-limiter.ts";
import type { TenantDirectory } from "./tenancy/tenant-directory.ts";

/** Verified tokens remembered. */
export const TOKEN_CACHE = 20_000;

export function createAuthentication(given: {
  readonly mode: "development" | "production";
  readonly clock: Clock;
  readonly directory: TenantDirectory;
  readonly system: SystemDoor;
  readonly resourceOf: (slug: Slug | null) => string;
  readonly catalogPermissions: readonly string[];
  /** Of proofs of possession: each costs a row, also with a request that counts against nothing else. */
  readonly proofRates: TenantRateLimiter;
  /** Null: this deployment can keep no secret. */
  readonly secrets: SecretBox | null;
  /** Host names of identity providers that may have private addresses. */
  readonly privateHosts: readonly string[];
}): { readonly authenticator: Authenticator; readonly issuers: IssuerPorts } {
  const { clock, directory, resourceOf, secrets } = given;
  const development = given.mode === "development";
  const fetch = createGuardedFetch({
    allowLoopbackHttp: development,
    allowPrivateAddresses: development ? true : given.privateHosts,
  });
  const authenticator = createAuthenticator({
    clock,
    directory,
    resourceOf,
    verifier: createTokenVerifier({
      clock,
      keySets: createKeySets({ clock, fetch }),
      cacheSize: TOKEN_CACHE,
    }),
    introspector: createIntrospector({
      clock,
      fetch,
      openSecret: ({ id, introspection }) =>
        secrets === null || introspection === null
          ? null
          : secrets.open(Buffer.from(introspection.sealedSecret, "base64"), introspectionSecretContext(id)),
    }),
    proofs: createProofChecker({ remember: createUsedProofs(given.system).remember }),
    catalogPermissions: given.catalogPermissions,
    payForProof: ({ id, limits }) => given.proofRates.consume(id, limits),
  });
  return {
    authenticator,
    issuers: {
      allowLoopback: development,
      discoverIssuer: (issuer) => discoverIssuer(issuer, fetch),
      sealSecret: (text, context) => secrets?.seal(text, context) ?? null,
    },
  };
}
