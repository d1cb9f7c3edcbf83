import { refuse } from "../../core/refusal.ts";
import { defineOperation } from "../admin-operation.ts";
import { planAnswer } from "../plan-answer.ts";
import { planPath } from "../schemas/names.ts";
import { plan } from "../schemas/plan.ts";

export const deletePlan = defineOperation({
  action: "plans.delete",
  method: "delete",
  path: "/plans/{p}",
  summary: "Delete a plan that no tenant is on",
  access: "operator",
  request: { params: planPath },
  conditional: true,
  changes: true,
  answers: { 200: { description: "The plan as it was.", schema: plan } },
  refusals: ["plan_not_found", "plan_in_use", "version_conflict"],
  target: ({ params }) => params.p,
  async run({ params, expected }, { administration }) {
    if (params.p === null) return refuse("plan_not_found");
    const outcome = await administration.deletePlan(params.p, expected);
    return outcome.kind === "done" ? planAnswer(200, outcome.plan) : refuse(outcome.kind);
  },
});
