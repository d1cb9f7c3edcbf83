import { refuse } from "../../core/refusal.ts";
import { defineOperation } from "../admin-operation.ts";
import { showIssuer } from "../issuer-answer.ts";
import { issuer, tenantIssuerPath } from "../schemas/issuer.ts";

export const deleteIssuer = defineOperation({
  action: "issuers.delete",
  method: "delete",
  path: "/tenants/{t}/issuers/{id}",
  summary:
    "Remove an issuer of a tenant, or its mapping to a broker, which only the operator may: its tokens stop counting",
  access: "tenant",
  request: { params: tenantIssuerPath },
  conditional: false,
  changes: true,
  answers: { 200: { description: "The issuer as it was.", schema: issuer } },
  refusals: ["tenant_not_found", "issuer_not_found", "operator_only"],
  target: ({ params }) => params.id,
  async run({ params }, { administration }, by) {
    if (params.t === null) return refuse("tenant_not_found");
    if (params.id === null) return refuse("issuer_not_found");
    const may = { brokers: by.kind === "operator" };
    const outcome = await administration.deleteIssuer(params.t, params.id, may);
    if (outcome.kind !== "done") return refuse(outcome.kind);
    return { status: 200, body: showIssuer(outcome.issuer), tenantId: outcome.tenantId };
  },
});
