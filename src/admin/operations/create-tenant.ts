import { refuse } from "../../core/refusal.ts";
import { defineOperation } from "../admin-operation.ts";
import { inputInvalid } from "../problem.ts";
import { newTenant, tenant } from "../schemas/tenant.ts";
import { tenantAnswer } from "../tenant-answer.ts";

export const createTenant = defineOperation({
  action: "tenants.create",
  method: "post",
  path: "/tenants",
  summary: "Create a tenant",
  access: "operator",
  request: { body: newTenant },
  conditional: false,
  changes: true,
  answers: { 201: { description: "The new tenant.", schema: tenant } },
  refusals: ["slug_taken"],
  target: ({ body }) => body.slug,
  async run({ body }, { administration, ids, mcpUrlOf }) {
    const outcome = await administration.createTenant({ ...body, id: ids.tenant() });
    switch (outcome.kind) {
      case "done":
        return tenantAnswer(201, outcome.tenant, mcpUrlOf);
      case "slug_taken":
        return refuse("slug_taken");
      case "plan_unknown":
        return inputInvalid([{ path: "plan", message: "There is no such plan" }]);
    }
  },
});
