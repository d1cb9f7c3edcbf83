import { isRefusal } from "../../core/refusal.ts";
import { defineOperation } from "../admin-operation.ts";
import { showIssuer } from "../issuer-answer.ts";
import { issuerRefusal, registrationOf } from "../issuer-registration.ts";
import { issuerTaken, noBroker } from "../issuer-taken.ts";
import { issuer, newBroker } from "../schemas/issuer.ts";
import { tooMany } from "../too-many.ts";

export const createBroker = defineOperation({
  action: "brokers.create",
  method: "post",
  path: "/brokers",
  summary:
    "Declare an issuer that serves several tenants; each is then mapped to it by its value of the tenant claim",
  access: "operator",
  request: { body: newBroker },
  conditional: false,
  changes: true,
  answers: { 201: { description: "The new broker.", schema: issuer } },
  refusals: ["issuer_refused", "too_many", "master_key_missing"],
  target: () => null,
  async run({ body }, context, by) {
    const { administration } = context;
    const refusal = issuerRefusal(body.issuer, context);
    if (refusal !== null) return refusal.code === "issuer_refused" ? noBroker() : refusal;
    const standing = await administration.issuerStanding(body.issuer);
    if (standing.kind !== "free") return issuerTaken(standing, by, null);
    const registration = await registrationOf({ body, slug: null, tellReason: true }, context);
    if (isRefusal(registration)) return registration;
    const outcome = await administration.createBroker(registration);
    if (outcome.kind === "too_many") return tooMany(outcome.of);
    if (outcome.kind !== "done")
      return issuerTaken(await administration.issuerStanding(body.issuer), by, null);
    return { status: 201, body: showIssuer(outcome.issuer), tenantId: null, target: outcome.issuer.id };
  },
});
