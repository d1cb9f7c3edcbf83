import { refuse } from "../../core/refusal.ts";
import { defineOperation } from "../admin-operation.ts";
import { pageBody } from "../page-answer.ts";
import { showRoleAssignment } from "../role-assignment-answer.ts";
import { tenantPath } from "../schemas/names.ts";
import { pageOf, pageQuery } from "../schemas/page.ts";
import { roleAssignment } from "../schemas/role-assignment.ts";

export const listRoleAssignments = defineOperation({
  action: "role-assignments.list",
  method: "get",
  path: "/tenants/{t}/role-assignments",
  summary: "List the subjects that a tenant has given roles, in order of their first assignment",
  access: "tenant",
  request: { params: tenantPath, query: pageQuery },
  conditional: false,
  changes: false,
  answers: {
    200: { description: "A page of assignments.", schema: pageOf(roleAssignment, "RoleAssignmentPage") },
  },
  refusals: ["tenant_not_found"],
  target: ({ params }) => params.t,
  async run({ params, query }, { administration }) {
    if (params.t === null) return refuse("tenant_not_found");
    const page = await administration.listRoleAssignments(params.t, {
      after: query.cursor ?? null,
      limit: query.limit,
    });
    if (page === null) return refuse("tenant_not_found");
    return { status: 200, body: pageBody(page, showRoleAssignment), tenantId: page.tenantId };
  },
});
