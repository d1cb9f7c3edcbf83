import { refuse } from "../../core/refusal.ts";
import { defineOperation } from "../admin-operation.ts";
import { planAnswer } from "../plan-answer.ts";
import { planPath } from "../schemas/names.ts";
import { plan } from "../schemas/plan.ts";

export const getPlan = defineOperation({
  action: "plans.get",
  method: "get",
  path: "/plans/{p}",
  summary: "Read a plan",
  access: "operator",
  request: { params: planPath },
  conditional: false,
  changes: false,
  answers: { 200: { description: "The plan.", schema: plan } },
  refusals: ["plan_not_found"],
  target: ({ params }) => params.p,
  async run({ params }, { administration }) {
    const record = params.p === null ? null : await administration.plan(params.p);
    return record === null ? refuse("plan_not_found") : planAnswer(200, record);
  },
});
