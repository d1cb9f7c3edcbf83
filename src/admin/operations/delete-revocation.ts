import { refuse } from "../../core/refusal.ts";
import { defineOperation } from "../admin-operation.ts";
import { showRevocation } from "../revocation-answer.ts";
import { revocation, revocationPath } from "../schemas/revocation.ts";

export const deleteRevocation = defineOperation({
  action: "revocations.delete",
  method: "delete",
  path: "/tenants/{t}/revocations/{id}",
  summary: "Take a revocation back: what has not expired meanwhile counts again",
  access: "tenant",
  request: { params: revocationPath },
  conditional: false,
  changes: true,
  answers: { 200: { description: "The revocation as it was.", schema: revocation } },
  refusals: ["tenant_not_found", "revocation_not_found"],
  target: ({ params }) => params.id,
  async run({ params }, { administration }) {
    if (params.t === null) return refuse("tenant_not_found");
    if (params.id === null) return refuse("revocation_not_found");
    const outcome = await administration.deleteRevocation(params.t, params.id);
    if (outcome.kind !== "done") return refuse(outcome.kind);
    return { status: 200, body: showRevocation(outcome.revocation), tenantId: outcome.tenantId };
  },
});
