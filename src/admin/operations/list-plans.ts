import { defineOperation } from "../admin-operation.ts";
import { writeCursor } from "../page-cursor.ts";
import { showPlan } from "../plan-answer.ts";
import { pageOf, pageQuery } from "../schemas/page.ts";
import { plan } from "../schemas/plan.ts";

export const listPlans = defineOperation({
  action: "plans.list",
  method: "get",
  path: "/plans",
  summary: "List the plans in order of their creation",
  access: "operator",
  request: { query: pageQuery },
  conditional: false,
  changes: false,
  answers: { 200: { description: "A page of plans.", schema: pageOf(plan, "PlanPage") } },
  refusals: [],
  target: () => null,
  async run({ query }, { administration }) {
    const page = await administration.listPlans({ after: query.cursor ?? null, limit: query.limit });
    return {
      status: 200,
      body: {
        items: page.items.map(showPlan),
        ...(page.next === null ? {} : { nextCursor: writeCursor(page.next) }),
      },
      tenantId: null,
    };
  },
});
