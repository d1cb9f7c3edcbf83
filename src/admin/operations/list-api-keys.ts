import { refuse } from "../../core/refusal.ts";
import { defineOperation } from "../admin-operation.ts";
import { showApiKey } from "../api-key-answer.ts";
import { pageBody } from "../page-answer.ts";
import { apiKey } from "../schemas/api-key.ts";
import { tenantPath } from "../schemas/names.ts";
import { pageOf, pageQuery } from "../schemas/page.ts";

export const listApiKeys = defineOperation({
  action: "keys.list",
  method: "get",
  path: "/tenants/{t}/keys",
  summary: "List a tenant's API keys in order of their creation, without their secrets",
  access: "tenant",
  request: { params: tenantPath, query: pageQuery },
  conditional: false,
  changes: false,
  answers: { 200: { description: "A page of API keys.", schema: pageOf(apiKey, "ApiKeyPage") } },
  refusals: ["tenant_not_found"],
  target: ({ params }) => params.t,
  async run({ params, query }, { administration, clock }) {
    if (params.t === null) return refuse("tenant_not_found");
    const page = await administration.listApiKeys(params.t, {
      after: query.cursor ?? null,
      limit: query.limit,
    });
    if (page === null) return refuse("tenant_not_found");
    const now = clock.now();
    return { status: 200, body: pageBody(page, (key) => showApiKey(key, now)), tenantId: page.tenantId };
  },
});
