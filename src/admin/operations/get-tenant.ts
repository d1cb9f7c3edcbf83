import { refuse } from "../../core/refusal.ts";
import { defineOperation } from "../admin-operation.ts";
import { tenantPath } from "../schemas/names.ts";
import { tenant } from "../schemas/tenant.ts";
import { tenantAnswer } from "../tenant-answer.ts";

export const getTenant = defineOperation({
  action: "tenants.get",
  method: "get",
  path: "/tenants/{t}",
  summary: "Read a tenant",
  access: "tenant",
  request: { params: tenantPath },
  conditional: false,
  changes: false,
  answers: { 200: { description: "The tenant.", schema: tenant } },
  refusals: ["tenant_not_found"],
  target: ({ params }) => params.t,
  async run({ params }, { administration, mcpUrlOf }) {
    const record = params.t === null ? null : await administration.tenant(params.t);
    return record === null ? refuse("tenant_not_found") : tenantAnswer(200, record, mcpUrlOf);
  },
});
