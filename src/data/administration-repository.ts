import { createPlanAdministration } from "./plan-administration.ts";
import type { SystemDoor } from "./system-door.ts";
import { createTenantAdministration } from "./tenant-administration.ts";
import { createTenantDeletion } from "./tenant-deletion.ts";

/** The configuration in PostgreSQL as its operator changes it, through the system door: the admin room's port. */
export function createAdministrationRepository(system: SystemDoor) {
  return Object.freeze({
    ...createTenantAdministration(system),
    ...createTenantDeletion(system),
    ...createPlanAdministration(system),
  });
}
