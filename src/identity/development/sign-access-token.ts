import { importJWK, SignJWT } from "jose";
import type { Clock } from "../../core/clock.ts";
import { Fault } from "../../core/fault.ts";
import type { TenantId } from "../../core/ids.ts";
import { DEVELOPMENT_TENANT_CLAIM, type DevelopmentIssuer } from "./development-issuer.ts";

/** `client_id` of tokens that nobody's client asked for. */
const CLIENT_ID = "bulkhead-development";
const MAX_LIFETIME_SECONDS = 3600;

/**
 * Signs an access token (RFC 9068) of a development issuer, for its resource, without anybody signing in.
 *
 * @throws Fault `setting_invalid` for a tenant that is none of the issuer's, or a lifetime over an hour.
 */
export async function signAccessToken(
  issuer: DevelopmentIssuer,
  of: {
    readonly tenantId: TenantId;
    readonly subject: string;
    readonly permissions: readonly string[];
    /** 1 to 3,600. */
    readonly lifetimeSeconds: number;
  },
  from: { readonly clock: Clock; readonly random: (bytes: number) => Buffer },
): Promise<{ readonly token: string /** Milliseconds since 1970. */; readonly expiresAt: number }> {
  if (!issuer.tenants.some((tenant) => tenant.id === of.tenantId)) {
    throw new Fault("setting_invalid", { detail: "The development issuer gives no tokens for this tenant." });
  }
  if (!(of.lifetimeSeconds >= 1 && of.lifetimeSeconds <= MAX_LIFETIME_SECONDS)) {
    throw new Fault("setting_invalid", { detail: "A development token lasts 1 to 3,600 seconds." });
  }
  const iat = Math.floor(from.clock.now() / 1000);
  const exp = iat + Math.floor(of.lifetimeSeconds);
  const { kid } = issuer.signingKey;
  const token = await new SignJWT({
    iss: issuer.issuer,
    sub: of.subject,
    aud: issuer.resource,
    iat,
    exp,
    jti: from.random(16).toString("base64url"),
    client_id: CLIENT_ID,
    scope: of.permissions.join(" "),
    [DEVELOPMENT_TENANT_CLAIM]: of.tenantId,
  })
    .setProtectedHeader({ alg: "ES256", typ: "at+jwt", ...(kid ? { kid } : {}) })
    .sign(await importJWK(issuer.signingKey, "ES256"));
  return { token, expiresAt: exp * 1000 };
}
