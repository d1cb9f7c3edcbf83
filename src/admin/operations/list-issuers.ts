import { refuse } from "../../core/refusal.ts";
import { defineOperation } from "../admin-operation.ts";
import { showIssuer } from "../issuer-answer.ts";
import { pageBody } from "../page-answer.ts";
import { issuer } from "../schemas/issuer.ts";
import { tenantPath } from "../schemas/names.ts";
import { pageOf, pageQuery } from "../schemas/page.ts";

export const listIssuers = defineOperation({
  action: "issuers.list",
  method: "get",
  path: "/tenants/{t}/issuers",
  summary: "List a tenant's issuers, and the brokers that it is mapped to, in order of creation",
  access: "tenant",
  request: { params: tenantPath, query: pageQuery },
  conditional: false,
  changes: false,
  answers: { 200: { description: "A page of issuers.", schema: pageOf(issuer, "IssuerPage") } },
  refusals: ["tenant_not_found"],
  target: ({ params }) => params.t,
  async run({ params, query }, { administration }) {
    if (params.t === null) return refuse("tenant_not_found");
    const page = await administration.listIssuers(params.t, {
      after: query.cursor ?? null,
      limit: query.limit,
    });
    if (page === null) return refuse("tenant_not_found");
    return { status: 200, body: pageBody(page, showIssuer), tenantId: page.tenantId };
  },
});
