import { refuse } from "../../core/refusal.ts";
import { defineOperation } from "../admin-operation.ts";
import { inputInvalid } from "../problem.ts";
import { tenantPath } from "../schemas/names.ts";
import { tenant, tenantChange } from "../schemas/tenant.ts";
import { tenantAnswer } from "../tenant-answer.ts";

export const changeTenant = defineOperation({
  action: "tenants.change",
  method: "patch",
  path: "/tenants/{t}",
  summary: "Change a tenant: each member sent replaces the tenant's as a whole",
  access: "tenant",
  tenantMembers: ["roles", "scopes", "apiKeys", "dpop"],
  request: { params: tenantPath, body: tenantChange },
  conditional: true,
  changes: true,
  answers: { 200: { description: "The tenant as it is now.", schema: tenant } },
  refusals: ["tenant_not_found", "version_conflict"],
  target: ({ params }) => params.t,
  async run({ params, body, expected }, { administration, mcpUrlOf }) {
    if (params.t === null) return refuse("tenant_not_found");
    const outcome = await administration.changeTenant(params.t, body, expected);
    switch (outcome.kind) {
      case "done":
        return tenantAnswer(200, outcome.tenant, mcpUrlOf);
      case "plan_unknown":
        return inputInvalid([{ path: "plan", message: "There is no such plan" }]);
      case "tenant_not_found":
      case "version_conflict":
        return refuse(outcome.kind);
    }
  },
});
