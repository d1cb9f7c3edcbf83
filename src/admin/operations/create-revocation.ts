import type { z } from "@hono/zod-openapi";
import { refuse } from "../../core/refusal.ts";
import type { RevocationTarget } from "../../tenancy/revocation-record.ts";
import { actorBehind } from "../act.ts";
import { defineOperation } from "../admin-operation.ts";
import { isIssuerRegistered } from "../issuer-registered.ts";
import { inputInvalid } from "../problem.ts";
import { showRevocation } from "../revocation-answer.ts";
import { tenantPath } from "../schemas/names.ts";
import { createdRevocation, newRevocation } from "../schemas/revocation.ts";

/** Clocks differ; a moment far ahead would refuse tokens that nobody has issued yet. */
const MAX_AHEAD_MS = 5 * 60 * 1_000;
/** The longest life that a token can have is 24 hours; then what is refused has expired, whatever the clocks. */
const KEPT_MS = 25 * 60 * 60 * 1_000;

export const createRevocation = defineOperation({
  action: "revocations.create",
  method: "post",
  path: "/tenants/{t}/revocations",
  summary:
    "Revoke a token, what was issued to a subject, what a key signed, or everything of the tenant so far",
  access: "tenant",
  request: { params: tenantPath, body: newRevocation },
  conditional: false,
  changes: true,
  answers: {
    200: {
      description: "It was revoked already; of two moments the later one holds.",
      schema: createdRevocation,
    },
    201: { description: "The new revocation.", schema: createdRevocation },
  },
  refusals: ["tenant_not_found", "too_many"],
  target: ({ params }) => params.t,
  async run({ params, body }, { administration, ids, clock }, by) {
    if (params.t === null) return refuse("tenant_not_found");
    const now = clock.now();
    const target = targetOf(body, now);
    if (target.notBefore !== null && target.notBefore.getTime() > now + MAX_AHEAD_MS) {
      return inputInvalid([{ path: "notBefore", message: "Must not be over 5 minutes in the future" }]);
    }
    const outcome = await administration.revoke(params.t, {
      id: ids.revocation(),
      target,
      expiresAt: expiryOf(target, now),
      createdBy: actorBehind(by),
    });
    if (outcome.kind !== "created" && outcome.kind !== "repeated") return refuse(outcome.kind);
    return {
      status: outcome.kind === "created" ? 201 : 200,
      body: {
        ...showRevocation(outcome.revocation),
        ...(target.issuer === null
          ? {}
          : {
              issuerRegistered: await isIssuerRegistered(administration, outcome.tenantId, target.issuer),
            }),
      },
      tenantId: outcome.tenantId,
      target: outcome.revocation.id,
    };
  },
});

function targetOf(body: z.output<typeof newRevocation>, now: number): RevocationTarget {
  switch (body.kind) {
    case "token":
    case "signing_key":
      return { ...body, notBefore: null };
    case "subject":
      return { ...body, notBefore: momentOf(body.notBefore, now) };
    case "tenant":
      return { ...body, issuer: null, value: null, notBefore: momentOf(body.notBefore, now) };
  }
}

function momentOf(given: Date | "now" | undefined, now: number): Date {
  return given instanceof Date ? given : new Date(now);
}

/** A key may sign again, and an API key lives longer than any token: those revocations stay. */
function expiryOf(target: RevocationTarget, now: number): Date | null {
  switch (target.kind) {
    case "token":
      return new Date(now + KEPT_MS);
    case "subject":
      return new Date(target.notBefore.getTime() + KEPT_MS);
    case "signing_key":
    case "tenant":
      return null;
  }
}
