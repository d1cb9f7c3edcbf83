import { z } from "@hono/zod-openapi";
import { parseRevocationId } from "../../core/ids.ts";
import { actor } from "./actor.ts";
import { identifier, issuerName } from "./identifier.ts";
import { tenantPath } from "./names.ts";

/** `{id}`: null where no revocation can be called that. */
export const revocationPath = tenantPath.extend({
  id: z
    .string()
    .openapi({ description: "The revocation's id.", example: "rev_01j9zq4v8k3f6r2m7w5x1c0bde" })
    .transform(parseRevocationId),
});

/** A date, as people write it, or seconds since 1970, as tokens do (RFC 7519 NumericDate); or now, by this server's clock. */
const moment = z
  .union([z.literal("now"), z.iso.datetime({ offset: true }), z.number().min(0).max(253_402_300_799)], {
    error: "Must be a date and time with its offset, seconds since 1970, or now",
  })
  .transform((given) =>
    given === "now" ? given : new Date(typeof given === "number" ? Math.ceil(given * 1_000) : given),
  )
  .refine((date) => date === "now" || date.getTime() >= 0, "Must not be before 1970")
  .openapi({
    type: ["string", "number"],
    description:
      "A date and time, or seconds since 1970, at most 5 minutes in the future; or `now`, by the server's clock.",
    example: "2026-01-31T12:00:00Z",
  });

const FORMS = "Must be one of {issuer, jti}, {issuer, subject, notBefore?}, {issuer, keyId} and {notBefore}";

/** Body of POST /tenants/{t}/revocations. */
export const newRevocation = z
  .strictObject({
    issuer: issuerName.optional(),
    jti: identifier.optional().openapi({ description: "The one token of this id." }),
    subject: identifier.optional().openapi({ description: "What was issued to this subject so far." }),
    keyId: identifier.optional().openapi({ description: "What was signed with this key: its kid." }),
    notBefore: moment.optional(),
  })
  .transform((body, context) => {
    const { issuer, jti, subject, keyId, notBefore } = body;
    const named = [jti, subject, keyId].filter((value) => value !== undefined).length;
    if (issuer === undefined) {
      if (named === 0 && notBefore !== undefined) return { kind: "tenant", notBefore } as const;
    } else if (named === 1) {
      if (subject !== undefined) return { kind: "subject", issuer, value: subject, notBefore } as const;
      if (notBefore === undefined && jti !== undefined) return { kind: "token", issuer, value: jti } as const;
      if (notBefore === undefined && keyId !== undefined)
        return { kind: "signing_key", issuer, value: keyId } as const;
    }
    context.addIssue({ code: "custom", message: FORMS });
    return z.NEVER;
  })
  .openapi("NewRevocation", { description: `${FORMS}.`, minProperties: 1 });

/** Of issuer, jti, subject, keyId and notBefore those that its kind has. */
const shown = {
  id: z.string(),
  kind: z.enum(["token", "subject", "signing_key", "tenant"]),
  issuer: z.string().optional(),
  jti: z.string().optional(),
  subject: z.string().optional(),
  keyId: z.string().optional(),
  notBefore: z.iso.datetime().optional().openapi({ description: "What was issued until then is refused." }),
  expiresAt: z.iso.datetime().nullable().openapi({
    description: "When all that it could refuse will have expired by itself, and it is removed; null: never.",
  }),
  createdAt: z.iso.datetime(),
  createdBy: actor,
};

/** A revocation as the admin API shows it. */
export const revocation = z.object(shown).openapi("Revocation");

/** The same as it was just made. */
export const createdRevocation = z
  .object({
    ...shown,
    issuerRegistered: z.boolean().optional().openapi({
      description:
        "False: the tenant takes no tokens of this issuer anyway. Absent where everything is revoked.",
    }),
  })
  .openapi("CreatedRevocation");
