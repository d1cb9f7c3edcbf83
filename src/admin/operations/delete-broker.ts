import { refuse } from "../../core/refusal.ts";
import { defineOperation } from "../admin-operation.ts";
import { showIssuer } from "../issuer-answer.ts";
import { brokerPath, issuer } from "../schemas/issuer.ts";

export const deleteBroker = defineOperation({
  action: "brokers.delete",
  method: "delete",
  path: "/brokers/{id}",
  summary: "Remove a broker together with all tenants' mappings to it: its tokens stop counting",
  access: "operator",
  request: { params: brokerPath },
  conditional: false,
  changes: true,
  answers: { 200: { description: "The broker as it was.", schema: issuer } },
  refusals: ["issuer_not_found"],
  target: ({ params }) => params.id,
  async run({ params }, { administration }) {
    if (params.id === null) return refuse("issuer_not_found");
    const outcome = await administration.deleteBroker(params.id);
    if (outcome.kind !== "done") return refuse(outcome.kind);
    return { status: 200, body: showIssuer(outcome.issuer), tenantId: null };
  },
});
