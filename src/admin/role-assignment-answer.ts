import type { RoleAssignmentRecord } from "../tenancy/role-assignment-record.ts";

export function showRoleAssignment({ issuer, subject, roles, createdAt }: RoleAssignmentRecord) {
  return { issuer, subject, roles, createdAt: createdAt.toISOString() };
}
