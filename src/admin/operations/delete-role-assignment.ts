import { refuse } from "../../core/refusal.ts";
import { defineOperation } from "../admin-operation.ts";
import { showRoleAssignment } from "../role-assignment-answer.ts";
import { tenantPath } from "../schemas/names.ts";
import { roleAssignment, subjectQuery } from "../schemas/role-assignment.ts";

export const deleteRoleAssignment = defineOperation({
  action: "role-assignments.delete",
  method: "delete",
  path: "/tenants/{t}/role-assignments",
  summary: "Take the assigned roles from a subject; those that its tokens name stay",
  access: "tenant",
  request: { params: tenantPath, query: subjectQuery },
  conditional: false,
  changes: true,
  answers: { 200: { description: "The assignment as it was.", schema: roleAssignment } },
  refusals: ["tenant_not_found", "role_assignment_not_found"],
  target: () => null,
  async run({ params, query }, { administration }) {
    if (params.t === null) return refuse("tenant_not_found");
    const outcome = await administration.unassignRoles(params.t, query);
    if (outcome.kind !== "done") return refuse(outcome.kind);
    return { status: 200, body: showRoleAssignment(outcome.assignment), tenantId: outcome.tenantId };
  },
});
