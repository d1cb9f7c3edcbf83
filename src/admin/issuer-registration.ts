import type { z } from "@hono/zod-openapi";
import type { IssuerId, Slug } from "../core/ids.ts";
import { isRefusal, type Refusal, refuse } from "../core/refusal.ts";
import { introspectionSecretContext } from "../identity/introspection.ts";
import { ISSUER_PROFILES, type IssuerDefaults } from "../identity/issuer-profiles.ts";
import type { NewIssuer } from "../tenancy/issuer-record.ts";
import type { OperationContext } from "./admin-operation.ts";
import { type InputError, inputInvalid } from "./problem.ts";
import { providerUrlFlaw } from "./provider-url.ts";
import type { newBroker, newIssuer } from "./schemas/issuer.ts";

/** The body of either request; a broker's has no `tenantValue`. */
type IssuerBody = z.output<typeof newBroker> & Pick<z.output<typeof newIssuer>, "tenantValue">;

export interface RegistrationRequest {
  readonly body: IssuerBody;
  /** Null: it is to be a broker. */
  readonly slug: Slug | null;
  /** Whether the reason for which its keys were not found is told: it may speak of addresses inside. */
  readonly tellReason: boolean;
}

type Context = Pick<OperationContext, "ids" | "issuers" | "mcpUrlOf">;

/** Checks the issuer's own URL: null where nothing is wrong. */
export function issuerRefusal(issuer: string, { issuers, mcpUrlOf }: Context): Refusal | null {
  const flaw = providerUrlFlaw(issuer, { allowLoopback: issuers.allowLoopback, allowQuery: false });
  if (flaw !== null) return inputInvalid([{ path: "issuer", message: flaw }]);
  // The development authorization server's: whoever has one of these by hand could take the place of its next tenant.
  const reserved = `${new URL(mcpUrlOf(null)).origin}/issuers/`;
  return issuer.startsWith(reserved) ? refuse("issuer_refused") : null;
}

/**
 * Makes a whole registration of what was sent: what is absent is the profile's, keys are found through the issuer's
 * metadata, and the client's secret is sealed.
 */
export async function registrationOf(
  request: RegistrationRequest,
  context: Context,
): Promise<NewIssuer | Refusal> {
  const { body } = request;
  const { issuer, profile } = body;
  const defaults: IssuerDefaults = ISSUER_PROFILES[profile](issuer);
  const terms = {
    issuer,
    profile,
    audience: body.audience ?? null,
    otherAudiences: body.otherAudiences ?? defaults.otherAudiences,
    tenantClaim: body.tenantClaim === undefined ? defaults.tenantClaim : body.tenantClaim,
    tenantClaimForm: body.tenantClaimForm ?? defaults.tenantClaimForm,
    tenantValue: body.tenantValue ?? null,
    scopeClaims: body.scopeClaims ?? defaults.scopeClaims,
    rolesClaim: body.rolesClaim === undefined ? defaults.rolesClaim : body.rolesClaim,
    algorithms: body.algorithms ?? defaults.algorithms,
    tokenType: body.tokenType ?? defaults.tokenType,
    maxLifetimeSeconds: body.maxLifetimeSeconds ?? defaults.maxLifetimeSeconds,
  };
  const errors = [
    ...endpointErrors(body, context),
    ...audienceErrors(terms, request.slug, context),
    ...tenantClaimErrors(terms, request.slug),
  ];
  if (errors.length > 0) return inputInvalid(errors);
  const id = context.ids.issuer();
  const introspection = sealed(body, id, context);
  if (isRefusal(introspection)) return introspection;
  const jwksUri = await keysOf(request, context);
  return isRefusal(jwksUri) ? jwksUri : { id, ...terms, jwksUri, introspection };
}

function endpointErrors({ jwksUri, introspection }: IssuerBody, { issuers }: Context): InputError[] {
  const rules = { allowLoopback: issuers.allowLoopback, allowQuery: true };
  const named: readonly (readonly [string, string | undefined])[] = [
    ["jwksUri", jwksUri],
    ["introspection.endpoint", introspection?.endpoint],
  ];
  return named.flatMap(([path, url]) => {
    const message = url === undefined ? null : providerUrlFlaw(url, rules);
    return message === null ? [] : [{ path, message }];
  });
}

/**
 * A token that was issued for another tenant's endpoint must not be good for this one's. Beside the expected audience
 * none of ours may stand at all: who gets such a token could use it there too.
 */
function audienceErrors(
  { audience, otherAudiences }: Pick<NewIssuer, "audience" | "otherAudiences">,
  slug: Slug | null,
  { mcpUrlOf }: Context,
): InputError[] {
  const { origin } = new URL(mcpUrlOf(null));
  const isOurs = (text: string) => URL.canParse(text) && new URL(text).origin === origin;
  const mine = [mcpUrlOf(null), ...(slug === null ? [] : [mcpUrlOf(slug)])];
  const message = "Must not be a resource of this server that is not the tenant's";
  return [
    ...(audience !== null && isOurs(audience) && !mine.includes(audience)
      ? [{ path: "audience", message }]
      : []),
    ...otherAudiences.flatMap((other, index) =>
      isOurs(other)
        ? [{ path: `otherAudiences.${index}`, message: "Must not be a resource of this server" }]
        : [],
    ),
  ];
}

function tenantClaimErrors(
  { tenantClaim, tenantValue }: Pick<NewIssuer, "tenantClaim" | "tenantValue">,
  slug: Slug | null,
): InputError[] {
  if (slug === null) {
    return tenantClaim === null
      ? [{ path: "tenantClaim", message: "A broker's tokens must name the tenant" }]
      : [];
  }
  if (tenantClaim !== null && tenantValue === null) {
    const message =
      "Is missing: what the tenant claim must be; where the issuer serves this tenant alone, send tenantClaim null";
    return [{ path: "tenantValue", message }];
  }
  if (tenantClaim === null && tenantValue !== null) {
    return [{ path: "tenantClaim", message: "Is missing: the claim that must have this value" }];
  }
  return [];
}

function sealed(
  { introspection }: IssuerBody,
  id: IssuerId,
  { issuers }: Context,
): NewIssuer["introspection"] | Refusal {
  if (introspection === undefined) return null;
  const { endpoint, clientId, clientSecret } = introspection;
  const sealedSecret = issuers.sealSecret(clientSecret, introspectionSecretContext(id));
  return sealedSecret === null ? refuse("master_key_missing") : { endpoint, clientId, sealedSecret };
}

async function keysOf(
  { body, tellReason }: RegistrationRequest,
  { issuers }: Context,
): Promise<string | null | Refusal> {
  if (body.jwksUri !== undefined) return body.jwksUri;
  if (body.introspection !== undefined) return null;
  const found = await issuers.discoverIssuer(body.issuer);
  const flaw =
    typeof found === "string"
      ? found
      : providerUrlFlaw(found.jwksUri, { allowLoopback: issuers.allowLoopback, allowQuery: true });
  if (typeof found !== "string" && flaw === null) return found.jwksUri;
  const reason = flaw ?? "its keys cannot be read";
  const message = `Its keys were not found through its metadata${typeof found === "string" ? adviceAbout(reason, tellReason) : ""}`;
  const told = tellReason ? `${message} (${reason})` : message;
  return { ...inputInvalid([{ path: "issuer", message: told }]), cause: reason };
}

/**
 * What to do about metadata that were not found. Keys sent by hand would only hide a misspelt issuer, and those of a
 * private address would never be read. A URL has no space, so that no name in the reason can pass for one of these texts.
 */
function adviceAbout(reason: string, tellReason: boolean): string {
  if (reason.includes("are those of another issuer"))
    return ", which are those of another issuer; register the issuer that they name";
  // What they say of their keys is for whoever runs the issuer to mend.
  if (reason.includes("jwks_uri is not an https URL")) return "";
  if (!/ not public(;|$)/.test(reason)) return "; send jwksUri";
  // Not for a tenant: it would learn which names inside have addresses.
  return tellReason
    ? "; where its host may have a private address, name it with --allow-private-host"
    : "; send jwksUri";
}
