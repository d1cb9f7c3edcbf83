import { refuse } from "../../core/refusal.ts";
import { defineOperation } from "../admin-operation.ts";
import { planAnswer } from "../plan-answer.ts";
import { newPlanPath } from "../schemas/names.ts";
import { plan, planContent } from "../schemas/plan.ts";

export const putPlan = defineOperation({
  action: "plans.put",
  method: "put",
  path: "/plans/{p}",
  summary: "Create a plan or replace it as a whole; its tenants are on the new limits at once",
  access: "operator",
  request: { params: newPlanPath, body: planContent },
  conditional: true,
  changes: true,
  answers: {
    200: { description: "The plan as it is now.", schema: plan },
    201: { description: "The new plan.", schema: plan },
  },
  refusals: ["version_conflict"],
  target: ({ params }) => params.p,
  async run({ params, body, expected }, { administration }) {
    const outcome = await administration.putPlan(params.p, body, expected);
    if (outcome.kind === "version_conflict") return refuse(outcome.kind);
    return planAnswer(outcome.kind === "created" ? 201 : 200, outcome.plan);
  },
});
