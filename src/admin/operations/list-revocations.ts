import { refuse } from "../../core/refusal.ts";
import { defineOperation } from "../admin-operation.ts";
import { pageBody } from "../page-answer.ts";
import { showRevocation } from "../revocation-answer.ts";
import { tenantPath } from "../schemas/names.ts";
import { pageOf, pageQuery } from "../schemas/page.ts";
import { revocation } from "../schemas/revocation.ts";

export const listRevocations = defineOperation({
  action: "revocations.list",
  method: "get",
  path: "/tenants/{t}/revocations",
  summary: "List what a tenant has revoked, in order of creation",
  access: "tenant",
  request: { params: tenantPath, query: pageQuery },
  conditional: false,
  changes: false,
  answers: { 200: { description: "A page of revocations.", schema: pageOf(revocation, "RevocationPage") } },
  refusals: ["tenant_not_found"],
  target: ({ params }) => params.t,
  async run({ params, query }, { administration }) {
    if (params.t === null) return refuse("tenant_not_found");
    const page = await administration.listRevocations(params.t, {
      after: query.cursor ?? null,
      limit: query.limit,
    });
    if (page === null) return refuse("tenant_not_found");
    return { status: 200, body: pageBody(page, showRevocation), tenantId: page.tenantId };
  },
});
