import { refuse } from "../../core/refusal.ts";
import { defineOperation } from "../admin-operation.ts";
import { isIssuerRegistered } from "../issuer-registered.ts";
import { inputInvalid } from "../problem.ts";
import { showRoleAssignment } from "../role-assignment-answer.ts";
import { tenantPath } from "../schemas/names.ts";
import { putRoleAssignment as answer, newRoleAssignment } from "../schemas/role-assignment.ts";

export const putRoleAssignment = defineOperation({
  action: "role-assignments.put",
  method: "put",
  path: "/tenants/{t}/role-assignments",
  summary: "Give a subject roles of the tenant, in place of those that it was given before",
  access: "tenant",
  request: { params: tenantPath, body: newRoleAssignment },
  conditional: false,
  changes: true,
  answers: {
    200: { description: "The assignment as it is now.", schema: answer },
    201: { description: "The new assignment.", schema: answer },
  },
  refusals: ["tenant_not_found", "too_many"],
  // A subject is free text of an issuer's.
  target: () => null,
  async run({ params, body }, { administration }) {
    if (params.t === null) return refuse("tenant_not_found");
    const outcome = await administration.assignRoles(params.t, body);
    switch (outcome.kind) {
      case "created":
      case "replaced":
        return {
          status: outcome.kind === "created" ? 201 : 200,
          body: {
            ...showRoleAssignment(outcome.assignment),
            issuerRegistered: await isIssuerRegistered(administration, outcome.tenantId, body.issuer),
          },
          tenantId: outcome.tenantId,
        };
      case "roles_unknown":
        return inputInvalid(
          outcome.roles.map((role) => ({
            path: `roles.${body.roles.indexOf(role)}`,
            message: "The tenant defines no such role",
          })),
        );
      case "tenant_not_found":
      case "too_many":
        return refuse(outcome.kind);
    }
  },
});
