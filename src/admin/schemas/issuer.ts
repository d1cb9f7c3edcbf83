import { z } from "@hono/zod-openapi";
import { parseIssuerId } from "../../core/ids.ts";
import { ISSUER_PROFILES, type IssuerProfile } from "../../identity/issuer-profiles.ts";
import { ASYMMETRIC_ALGORITHMS } from "../../identity/token-header.ts";
import { claimName, identifier, issuerName } from "./identifier.ts";
import { tenantPath } from "./names.ts";

const MAX_URL_LENGTH = 2_000;
const MAX_AUDIENCES = 10;
/** A tenant may have twenty issuers with all of them, in its snapshot. */
const MAX_AUDIENCE_LENGTH = 500;
const MAX_CLAIMS = 10;
/** As deep as the table takes. */
const MAX_PATH = 4;
const MAX_SECRET_LENGTH = 1_000;

const issuerId = z
  .string()
  .openapi({ description: "The issuer's id.", example: "iss_01j9zq4v8k3f6r2m7w5x1c0bde" })
  .transform(parseIssuerId);

/** `{id}` of a broker: null where no issuer can be called that. */
export const brokerPath = z.object({ id: issuerId });

/** `{id}` of an issuer of a tenant. */
export const tenantIssuerPath = tenantPath.extend({ id: issuerId });

const url = z.string().min(1).max(MAX_URL_LENGTH).openapi({ format: "uri" });
const audience = z
  .string()
  .max(MAX_AUDIENCE_LENGTH)
  .regex(/^[^\p{Cc}\p{Cs}]+$/u, "Must be text without control characters and half characters")
  .openapi({ pattern: "^[^\\p{Cc}\\p{Cs}]+$" });

const profiles = Object.keys(ISSUER_PROFILES) as [IssuerProfile, ...IssuerProfile[]];
const algorithms = [...ASYMMETRIC_ALGORITHMS] as [string, ...string[]];

/** What a registration may say of an issuer's tokens; what is absent is the profile's. */
const terms = {
  issuer: issuerName.openapi({
    description: "The iss of its tokens, exactly: an https URL without query, fragment and user.",
  }),
  profile: z
    .enum(profiles)
    .default("generic")
    .openapi({ description: "The provider: fills in what is absent." }),
  jwksUri: url.optional().openapi({
    description: "Its keys. Absent: found through its metadata, unless its tokens are introspected.",
  }),
  audience: audience.optional().openapi({
    description:
      "Audience to expect instead of the URL's resource identifier, where the provider cannot issue that.",
  }),
  otherAudiences: z.array(audience).max(MAX_AUDIENCES).optional().openapi({
    description: "Audiences that may stand beside the expected one: those that the provider always adds.",
  }),
  tenantClaim: claimName.nullable().optional().openapi({
    description: "Claim that names the tenant; null: none does, since the issuer serves this tenant alone.",
  }),
  tenantClaimForm: z.enum(["text", "single"]).optional().openapi({
    description:
      "text: the claim is the value; single: it is an array or object of exactly one, whose element or name is it.",
  }),
  scopeClaims: z.array(claimName).max(MAX_CLAIMS).optional().openapi({
    description: "Claims whose values are permissions: texts with spaces between, or arrays of texts.",
  }),
  rolesClaim: z.array(claimName).min(1).max(MAX_PATH).nullable().optional().openapi({
    description: "Path of the claim that names roles of the tenant; null: none does.",
  }),
  algorithms: z.array(z.enum(algorithms)).min(1).max(algorithms.length).optional(),
  tokenType: z.enum(["at+jwt", "JWT", "absent"]).optional().openapi({
    description:
      "typ of its tokens' header; at+jwt always counts, the others only with another mark of access tokens.",
  }),
  maxLifetimeSeconds: z.int().min(60).max(86_400).optional(),
  introspection: z
    .strictObject({
      endpoint: url,
      clientId: identifier,
      clientSecret: z
        .string()
        .max(MAX_SECRET_LENGTH)
        .regex(/^[^\p{Cc}\p{Cs}]+$/u, "Must be text without control characters and half characters")
        .openapi({ writeOnly: true, pattern: "^[^\\p{Cc}\\p{Cs}]+$" }),
    })
    .optional()
    .openapi({ description: "Where opaque tokens are introspected (RFC 7662); absent: they are refused." }),
};

/** Body of POST /brokers. */
export const newBroker = z.strictObject(terms).openapi("NewBroker");

/** Body of POST /tenants/{t}/issuers. */
export const newIssuer = z
  .strictObject({
    ...terms,
    tenantValue: identifier.optional().openapi({ description: "Value of the tenant claim for this tenant." }),
  })
  .openapi("NewIssuer", {
    description: "Where the issuer is a broker: issuer and tenantValue alone, which the operator may send.",
  });

/** An issuer as the admin API shows it. */
export const issuer = z
  .object({
    id: z.string(),
    issuer: z.string(),
    broker: z.boolean().openapi({ description: "Whether it serves several tenants." }),
    profile: z.string(),
    jwksUri: z.string().nullable(),
    audience: z.string().nullable(),
    otherAudiences: z.array(z.string()),
    tenantClaim: z.string().nullable(),
    tenantClaimForm: z.enum(["text", "single"]),
    tenantValue: z.string().nullable(),
    scopeClaims: z.array(z.string()),
    rolesClaim: z.array(z.string()).nullable(),
    algorithms: z.array(z.string()),
    tokenType: z.string(),
    maxLifetimeSeconds: z.int(),
    introspection: z.object({ endpoint: z.string(), clientId: z.string() }).nullable(),
    development: z.boolean().openapi({ description: "Made by bulkhead dev." }),
    createdAt: z.iso.datetime(),
  })
  .openapi("Issuer");
