import { defineOperation } from "../admin-operation.ts";
import { showIssuer } from "../issuer-answer.ts";
import { pageBody } from "../page-answer.ts";
import { issuer } from "../schemas/issuer.ts";
import { pageOf, pageQuery } from "../schemas/page.ts";

export const listBrokers = defineOperation({
  action: "brokers.list",
  method: "get",
  path: "/brokers",
  summary: "List the issuers that serve several tenants, in order of creation",
  access: "operator",
  request: { query: pageQuery },
  conditional: false,
  changes: false,
  answers: { 200: { description: "A page of brokers.", schema: pageOf(issuer, "BrokerPage") } },
  refusals: [],
  target: () => null,
  async run({ query }, { administration }) {
    const page = await administration.listBrokers({ after: query.cursor ?? null, limit: query.limit });
    return { status: 200, body: pageBody(page, showIssuer), tenantId: null };
  },
});
