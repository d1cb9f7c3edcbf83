import type { Clock } from "../core/clock.ts";
import type { ErrorCode } from "../core/error-table.ts";
import { after, type Eventually } from "../core/eventually.ts";
import { parseSlug, type Slug, type TenantId } from "../core/ids.ts";
import { ADMIN_PERMISSION } from "../core/permission.ts";
import { isRefusal, type Refusal, refuse } from "../core/refusal.ts";
import type { TenantDirectory } from "../tenancy/tenant-directory.ts";
import type { TenantName } from "../tenancy/tenant-record.ts";
import type { DpopMode, TenantSnapshot } from "../tenancy/tenant-snapshot.ts";
import { createAcceptance } from "./acceptance.ts";
import type { Caller } from "./caller.ts";
import { type KeyCredentials, readCredentials, type TokenCredentials } from "./credentials.ts";
import type { ProofChecker } from "./dpop-proof.ts";
import { own, readTokenParts } from "./token-parts.ts";
import type { TokenVerifier, VerifyOptions } from "./token-verifier.ts";
import type { Introspector, TenantSource, VerifiedToken } from "./verified-token.ts";

/** What of a request says who sends it. */
export interface Attempt {
  /** Names and values in turn, as `IncomingMessage.rawHeaders` has them. */
  readonly rawHeaders: readonly string[];
  /** The request target as received. */
  readonly url: string;
  readonly method: string;
  /** Where it comes from. */
  readonly address: string;
  /**
   * The refusal of an address that keeps failing. It waits for no tenant to be read, and no token of it is verified or
   * asked about: what was accepted before passes (a token that is bound to a key with its proof), and all else ends with
   * this very object.
   */
  readonly flooding: Refusal | null;
}

/** Tells who calls, and for which tenant. */
export interface Authenticator {
  /**
   * The caller of the MCP endpoint of one tenant, or of the shared one (slug null): the credential's issuer and claim
   * decide, and must agree with the URL. Answers at once where nothing has to be waited for. That the tenant is active is
   * for the caller to see.
   *
   * @returns a refusal `route_unknown` for a slug that nobody has, before any credential is looked at;
   *   `credentials_malformed`, `credentials_missing`, `token_invalid`, `dpop_proof_invalid`, `keys_unavailable`,
   *   `introspection_unavailable` or `rate_limited`, with the scopes and schemes that the challenge needs.
   */
  authenticate(
    attempt: Attempt & { readonly slug: Slug | null },
  ): Caller | Refusal | Promise<Caller | Refusal>;
  /**
   * Whether a credential that was accepted counts under a newer snapshot of the same tenant, now: not when the tenant is
   * suspended, the credential revoked or expired, or its registration or key gone or changed. Synchronous.
   */
  stillHolds(snapshot: TenantSnapshot, caller: Caller): boolean;
  /**
   * The administrator of a tenant, at the admin API. That the path is of the same tenant is for the caller to see, who
   * also puts on record who tried. API keys are not enough there, and opaque tokens are not asked about: an operator token
   * that this instance does not know would be sent to an issuer of a tenant's choice.
   *
   * @param attempt.tenant the tenant that the path names; null where it names none.
   * @returns a refusal `operator_token_required` for what is no token of any tenant; `administrator_required`,
   *   `tenant_suspended`; `dpop_proof_invalid`, `keys_unavailable` and `rate_limited` as above.
   */
  administrator(attempt: Attempt & { readonly tenant: TenantName | null }): Promise<Caller | Refusal>;
}

/** A URL at which tokens count. */
interface Door extends VerifyOptions {
  readonly tenantOf: TenantSource;
  /** The tenant of the URL; null on the shared one. */
  readonly named: TenantSnapshot | null;
  /** Address that a proof must name (RFC 9449 section 4.2, `htu`). */
  readonly endpoint: string;
}

const SCHEMES: Readonly<Record<DpopMode, readonly ("Bearer" | "DPoP")[]>> = {
  off: ["Bearer"],
  allow: ["Bearer", "DPoP"],
  require: ["DPoP"],
};

/** Refusals of a token that say more to an administrator than that theirs is none. */
const TOLD_TO_ADMINISTRATORS: ReadonlySet<ErrorCode> = new Set([
  "dpop_proof_invalid",
  "keys_unavailable",
  "rate_limited",
  "tenant_suspended",
]);

/**
 * @param parts.resourceOf the shared resource identifier, and a tenant's: from configuration, never from a header.
 * @param parts.catalogPermissions the scopes that a challenge names where the tenant says nothing.
 */
export function createAuthenticator(parts: {
  readonly clock: Clock;
  readonly directory: TenantDirectory;
  readonly resourceOf: (slug: Slug | null) => string;
  readonly verifier: TokenVerifier;
  readonly introspector: Introspector;
  readonly proofs: ProofChecker;
  readonly catalogPermissions: readonly string[];
  /** Takes one proof from what a tenant may have looked at, or says that it has used that up. */
  readonly payForProof: (snapshot: TenantSnapshot) => Refusal | null;
}): Authenticator {
  const { clock, directory, resourceOf, verifier, introspector } = parts;
  const acceptance = createAcceptance(clock);

  /** With what a challenge needs, as far as the tenant is known. */
  const refused = (refusal: Refusal, snapshot: TenantSnapshot | null): Refusal => ({
    ...refusal,
    scopes: snapshot !== null && snapshot.scopes.length > 0 ? snapshot.scopes : parts.catalogPermissions,
    ...(snapshot === null ? {} : { schemes: SCHEMES[snapshot.dpop] }),
  });

  // ---- doors -------------------------------------------------------------------------------------------------------

  const doorOf = (named: TenantSnapshot, endpoint?: string): Door => {
    const resource = resourceOf(named.slug);
    return { resource, candidates: named.issuers, tenantOf: "issuer", named, endpoint: endpoint ?? resource };
  };

  const sharedDoor = (endpoint?: string): Eventually<Door> =>
    after(directory.brokers(), (candidates): Door => {
      const resource = resourceOf(null);
      return { resource, candidates, tenantOf: "claim", named: null, endpoint: endpoint ?? resource };
    });

  /** The tenant that a token is for, as it is at this moment: while the token was verified it may have changed. */
  const tenantNow = (token: VerifiedToken, door: Door): Eventually<TenantSnapshot | null> => {
    if (door.named !== null) return directory.bySlug(door.named.slug);
    return token.tenantClaim === null ? null : directory.byClaim(token.issuer.id, token.tenantClaim);
  };

  // ---- tokens ------------------------------------------------------------------------------------------------------

  const prove = (
    { form, token }: TokenCredentials,
    door: Door,
    { address, flooding }: Attempt,
  ): Eventually<VerifiedToken | Refusal> => {
    if (form === "jwt") {
      return flooding === null ? verifier.verify(token, door) : (verifier.recall(token, door) ?? flooding);
    }
    // Among several it would be a guess, and the wrong one would be shown a token that is none of its own.
    const [registration, another] = door.candidates.filter(({ introspection }) => introspection !== null);
    if (registration === undefined || another !== undefined) {
      return refuse("token_invalid", { cause: "not a JWT, and not one issuer here that could be asked" });
    }
    const purpose = {
      registration,
      tenantId: door.named?.id ?? null,
      audience: registration.audience ?? door.resource,
      tenantOf: door.tenantOf,
      address,
      nowMs: clock.now(),
    };
    return flooding === null
      ? introspector.introspect(token, purpose)
      : (introspector.recall(token, purpose) ?? flooding);
  };

  const checkProof = (
    { token, proofs }: TokenCredentials,
    boundTo: string,
    at: { readonly endpoint: string; readonly method: string; readonly tenantId: TenantId },
  ): Promise<Refusal | null> =>
    parts.proofs.check({
      proofs,
      token,
      boundTo,
      method: at.method,
      url: at.endpoint,
      tenantId: at.tenantId,
      nowMs: clock.now(),
    });

  const enter = (
    credentials: TokenCredentials,
    door: Door,
    attempt: Attempt,
  ): Eventually<Caller | Refusal> => {
    const { scheme } = credentials;
    return after(prove(credentials, door, attempt), (token) => {
      if (isRefusal(token)) return refused(token, door.named);
      const accept = (snapshot: TenantSnapshot | null): Caller | Refusal => {
        if (snapshot === null) {
          if (door.named !== null) return refuse("route_unknown");
          return refused(refuse("token_invalid", { cause: "the claim's value stands for no tenant" }), null);
        }
        const caller = acceptance.acceptToken(token, { scheme, snapshot });
        return isRefusal(caller) ? refused(caller, snapshot) : caller;
      };
      return after(tenantNow(token, door), (snapshot) => {
        const caller = accept(snapshot);
        if (isRefusal(caller) || token.boundTo === null) return caller;
        // A proof costs a row, whatever the request comes to: so nobody gets one for nothing.
        if (caller.snapshot.status === "suspended") return refuse("tenant_suspended");
        const over = parts.payForProof(caller.snapshot);
        if (over !== null) return over;
        const { endpoint } = door;
        const at = { endpoint, method: attempt.method, tenantId: caller.snapshot.id };
        return checkProof(credentials, token.boundTo, at).then((refusal) => {
          if (refusal !== null) return refused(refusal, caller.snapshot);
          return after(tenantNow(token, door), accept);
        });
      });
    });
  };

  // ---- API keys ----------------------------------------------------------------------------------------------------

  const acceptKey = (credentials: KeyCredentials, snapshot: TenantSnapshot | null): Caller | Refusal => {
    const caller =
      snapshot === null
        ? refuse("token_invalid", { cause: "no such API key" })
        : acceptance.acceptKey(credentials, snapshot);
    return isRefusal(caller) ? refused(caller, snapshot) : caller;
  };

  // ---- the MCP endpoints -------------------------------------------------------------------------------------------

  const atTenant = (attempt: Attempt, named: TenantSnapshot | null): Eventually<Caller | Refusal> => {
    if (named === null) return refuse("route_unknown");
    const credentials = readCredentials(attempt.rawHeaders, attempt.url);
    if (isRefusal(credentials)) return refused(credentials, named);
    if (credentials.kind === "key") return acceptKey(credentials, named);
    return enter(credentials, doorOf(named), attempt);
  };

  const atShared = (attempt: Attempt): Eventually<Caller | Refusal> => {
    const credentials = readCredentials(attempt.rawHeaders, attempt.url);
    if (isRefusal(credentials)) return refused(credentials, null);
    if (credentials.kind === "token") {
      return after(sharedDoor(), (door) => enter(credentials, door, attempt));
    }
    const looked = directory.byKey(credentials.id);
    if (looked instanceof Promise && attempt.flooding !== null) return attempt.flooding;
    return after(looked, (snapshot) => acceptKey(credentials, snapshot));
  };

  const authenticate: Authenticator["authenticate"] = (attempt) => {
    const { slug, flooding } = attempt;
    if (flooding === null) {
      return slug === null
        ? atShared(attempt)
        : after(directory.bySlug(slug), (named) => atTenant(attempt, named));
    }
    const looked = slug === null ? null : directory.bySlug(slug);
    // Slugs that nobody has cost a look into the database each.
    if (looked instanceof Promise) return flooding;
    return after(slug === null ? atShared(attempt) : atTenant(attempt, looked), (caller) =>
      isRefusal(caller) && caller.code !== "route_unknown" ? flooding : caller,
    );
  };

  // ---- the admin API -----------------------------------------------------------------------------------------------

  /** The door at which a token may count: that of the audience it names, or else that of the tenant that the path names. */
  const adminDoor = (
    token: string,
    { url, tenant, flooding }: Attempt & { readonly tenant: TenantName | null },
  ): Eventually<Door | Refusal | null> => {
    const query = url.indexOf("?");
    const path = query < 0 ? url : url.slice(0, query);
    const endpoint = new URL(resourceOf(null)).origin + path;
    const audiences = audiencesOf(token);
    if (audiences.includes(resourceOf(null))) return sharedDoor(endpoint);
    const looked = tenantOfAudience(audiences) ?? (tenant === null ? null : directory.byName(tenant));
    if (looked instanceof Promise && flooding !== null) return flooding;
    return after(looked, (named) => (named === null ? null : doorOf(named, endpoint)));
  };

  const tenantOfAudience = (audiences: readonly unknown[]): Eventually<TenantSnapshot | null> | undefined => {
    for (const audience of audiences) {
      const slug = typeof audience === "string" ? parseSlug(audience.split("/").at(-2) ?? "") : null;
      if (slug !== null && resourceOf(slug) === audience) return directory.bySlug(slug);
    }
    return undefined;
  };

  const administrator: Authenticator["administrator"] = async (attempt) => {
    const { flooding } = attempt;
    const nobody = (cause: unknown): Refusal => flooding ?? refuse("operator_token_required", { cause });
    const credentials = readCredentials(attempt.rawHeaders, attempt.url);
    if (isRefusal(credentials)) return nobody(credentials.cause ?? credentials.code);
    if (credentials.kind === "key") {
      return flooding ?? refuse("administrator_required", { cause: "an API key" });
    }
    if (credentials.form === "opaque") return nobody("neither the operator token nor a JWT");
    const door = await adminDoor(credentials.token, attempt);
    if (door === null) return nobody("the token names no tenant");
    if (isRefusal(door)) return door;
    const caller = await enter(credentials, door, attempt);
    if (isRefusal(caller)) {
      return TOLD_TO_ADMINISTRATORS.has(caller.code) ? (flooding ?? caller) : nobody(caller.cause);
    }
    const { snapshot, principal } = caller;
    if (snapshot.status === "suspended") return refuse("tenant_suspended");
    if (!principal.permissions.has(ADMIN_PERMISSION)) return refuse("administrator_required");
    return caller;
  };

  return { authenticate, stillHolds: acceptance.stillHolds, administrator };
}

/** What the unverified token names, to find the door at which it is then verified. */
function audiencesOf(token: string): readonly unknown[] {
  const read = readTokenParts(token);
  const audience = typeof read === "string" ? undefined : own(read.payload, "aud");
  return Array.isArray(audience) ? audience : [audience];
}
