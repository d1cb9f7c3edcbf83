import type { TrustedIssuer } from "../tenancy/tenant-snapshot.ts";

/** What a registration has where whoever registers the issuer says nothing. */
export type IssuerDefaults = Pick<
  TrustedIssuer,
  | "otherAudiences"
  | "tenantClaim"
  | "tenantClaimForm"
  | "scopeClaims"
  | "rolesClaim"
  | "algorithms"
  | "tokenType"
  | "maxLifetimeSeconds"
>;

const HOUR = 3600;

/** RFC 9068, with the tenant in `tenant_id`. */
const STANDARD = {
  otherAudiences: [],
  tenantClaim: "tenant_id",
  tenantClaimForm: "text",
  scopeClaims: ["scope"],
  rolesClaim: null,
  algorithms: ["RS256", "PS256", "ES256", "EdDSA"],
  tokenType: "at+jwt",
  maxLifetimeSeconds: HOUR,
} as const satisfies IssuerDefaults;

/**
 * What the access tokens of known providers look like, by the provider's name. Each comment names the mark by which an
 * access token that is not `at+jwt` is told from an ID token, and the pages that say so (read in November 2026).
 */
export const ISSUER_PROFILES = {
  /** The mark is `typ: at+jwt`. */
  generic: () => STANDARD,

  /**
   * Mark: `scope`, or `azp` with `gty`, since Auth0's own profile is of type JWT; its RFC 9068 profile is at+jwt and counts
   * as well. With the scope `openid` the audience is a list with the userinfo endpoint in it. `permissions` are not read:
   * they are all that the person has, also what was not asked for and consented to.
   *
   * Pages: Auth0, "Access Token Profiles"; "Work with Tokens and Organizations".
   */
  auth0: (issuer) => ({
    ...STANDARD,
    otherAudiences: [`${issuer.replace(/\/?$/, "/")}userinfo`],
    tenantClaim: "org_id",
    algorithms: ["RS256", "PS256"],
    tokenType: "JWT",
  }),

  /**
   * Mark: `cid` and the list `scp`; the header has no type. An Okta organization is an issuer of its own, so no claim names
   * the tenant.
   *
   * Pages: Okta, "OpenID Connect & OAuth 2.0"; "What is the lifetime of the JWT tokens".
   */
  okta: () => ({
    ...STANDARD,
    tenantClaim: null,
    scopeClaims: ["scp"],
    algorithms: ["RS256"],
    tokenType: "absent",
  }),

  /**
   * Mark: `scp` for a person, `roles` with `azp` for a program; the type is always JWT. Tokens live for 60 to 90 minutes, at
   * random, and five more for clocks that differ.
   *
   * Pages: Microsoft, "Access token claims reference"; "Configurable token lifetimes".
   */
  entra: () => ({
    ...STANDARD,
    tenantClaim: "tid",
    scopeClaims: ["scp"],
    rolesClaim: ["roles"],
    algorithms: ["RS256"],
    tokenType: "JWT",
    maxLifetimeSeconds: 95 * 60,
  }),

  /**
   * Mark: `client_id` and `scope`; the header has no type.
   *
   * Pages: WorkOS, "Access token claims" (Connect); "Token".
   */
  workos: () => ({
    ...STANDARD,
    tenantClaim: "org_id",
    scopeClaims: ["scope", "permissions"],
    algorithms: ["RS256"],
    tokenType: "absent",
  }),

  /**
   * Mark: the claim `typ: Bearer`, where ID tokens have `ID` and refresh tokens `Refresh`; the header says JWT, or at+jwt
   * where the client is set so. `account` is in the audience of whoever may manage their own account, which is everybody.
   *
   * Pages: Keycloak, "Mapping organization claims"; "Integrating with Model Context Protocol (MCP)".
   */
  keycloak: () => ({
    ...STANDARD,
    otherAudiences: ["account"],
    tenantClaim: "organization",
    tenantClaimForm: "single",
    rolesClaim: ["realm_access", "roles"],
    algorithms: ["RS256", "PS256", "ES256"],
    tokenType: "JWT",
  }),

  /**
   * Mark: `token_use: access`, where ID tokens have `id`; the header has no type.
   *
   * Pages: Amazon, "Understanding the access token"; "Scopes, M2M, and resource servers".
   */
  cognito: () => ({
    ...STANDARD,
    tenantClaim: "custom:tenant",
    rolesClaim: ["cognito:groups"],
    algorithms: ["RS256"],
    tokenType: "absent",
  }),
} as const satisfies Readonly<Record<string, (issuer: string) => IssuerDefaults>>;

/** The name of a provider whose tokens are known. */
export type IssuerProfile = keyof typeof ISSUER_PROFILES;
