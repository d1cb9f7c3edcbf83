import { createApiKeyAdministration } from "./api-key-administration.ts";
import { createIssuerAdministration } from "./issuer-administration.ts";
import { createPlanAdministration } from "./plan-administration.ts";
import { createRevocationAdministration } from "./revocation-administration.ts";
import { createRoleAssignmentAdministration } from "./role-assignment-administration.ts";
import type { SystemDoor } from "./system-door.ts";
import { createTenantAdministration } from "./tenant-administration.ts";
import { createTenantDeletion } from "./tenant-deletion.ts";

/** The configuration in PostgreSQL as the operator and tenants' administrators change it, through the system door: the admin room's port. */
export function createAdministrationRepository(system: SystemDoor) {
  return Object.freeze({
    ...createTenantAdministration(system),
    ...createTenantDeletion(system),
    ...createPlanAdministration(system),
    ...createIssuerAdministration(system),
    ...createApiKeyAdministration(system),
    ...createRevocationAdministration(system),
    ...createRoleAssignmentAdministration(system),
  });
}
