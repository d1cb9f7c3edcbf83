import { refuse } from "../../core/refusal.ts";
import { defineOperation } from "../admin-operation.ts";
import { tenantPath } from "../schemas/names.ts";
import { deletionProof } from "../schemas/tenant.ts";

export const deleteTenant = defineOperation({
  action: "tenants.delete",
  method: "delete",
  path: "/tenants/{t}",
  summary: "Delete a tenant with everything of it, for good; its slug is never used again",
  access: "operator",
  request: { params: tenantPath },
  conditional: true,
  changes: true,
  answers: { 200: { description: "What was erased.", schema: deletionProof } },
  refusals: ["tenant_not_found", "version_conflict"],
  target: ({ params }) => params.t,
  async run({ params, expected }, { administration, clock, emit }) {
    if (params.t === null) return refuse("tenant_not_found");
    const outcome = await administration.deleteTenant(params.t, expected);
    if (outcome.kind !== "done") return refuse(outcome.kind);
    const { proof, settled } = outcome;
    if (!settled) {
      emit({
        type: "fault",
        at: clock.now(),
        level: "error",
        where: "tenants.delete",
        message: `Transactions older than the deletion of ${proof.id} have not ended; one of them may still leave rows of it.`,
      });
    }
    return {
      status: 200,
      body: { ...proof, deletedAt: proof.deletedAt.toISOString() },
      // Not the tenant's: its audit trail has just been erased, and this entry would begin a new one.
      tenantId: null,
    };
  },
});
