import { refuse } from "../../core/refusal.ts";
import type { TenantRecord } from "../../tenancy/tenant-record.ts";
import { type AdminOperation, defineOperation } from "../admin-operation.ts";
import { tenantPath } from "../schemas/names.ts";
import { tenant } from "../schemas/tenant.ts";
import { tenantAnswer } from "../tenant-answer.ts";

/** The two operations that differ only in the status they lead to. Both may be repeated without effect. */
export function setTenantStatus(
  verb: "suspend" | "resume",
  status: TenantRecord["status"],
  summary: string,
): AdminOperation<{ readonly params: typeof tenantPath }> {
  return defineOperation({
    action: `tenants.${verb}`,
    method: "post",
    path: `/tenants/{t}/${verb}`,
    summary,
    access: "operator",
    request: { params: tenantPath },
    conditional: true,
    changes: true,
    answers: { 200: { description: "The tenant as it is now.", schema: tenant } },
    refusals: ["tenant_not_found", "version_conflict"],
    target: ({ params }) => params.t,
    async run({ params, expected }, { administration, mcpUrlOf }) {
      if (params.t === null) return refuse("tenant_not_found");
      const outcome = await administration.setTenantStatus(params.t, status, expected);
      return outcome.kind === "done" ? tenantAnswer(200, outcome.tenant, mcpUrlOf) : refuse(outcome.kind);
    },
  });
}
