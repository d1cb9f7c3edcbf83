import type { TenantId } from "../core/ids.ts";
import type { RoleAssignmentRecord, SubjectName } from "../tenancy/role-assignment-record.ts";
import type { TenantName } from "../tenancy/tenant-record.ts";
import type { PageRequest, TenantPageOf } from "./page.ts";

type TenantMissing = { readonly kind: "tenant_not_found" };
interface Assigned {
  readonly tenantId: TenantId;
  readonly assignment: RoleAssignmentRecord;
}

export type RoleAssigning =
  | (Assigned & { readonly kind: "created" | "replaced" })
  | TenantMissing
  /** The tenant does not define these. */
  | { readonly kind: "roles_unknown"; readonly roles: readonly string[] }
  | { readonly kind: "too_many" };
export type RoleUnassigning =
  | (Assigned & { readonly kind: "done" })
  | TenantMissing
  | { readonly kind: "role_assignment_not_found" };

/** What the admin API needs of the keeper of role assignments. */
export interface RoleAssignmentAdministration {
  /** Null: there is no such tenant. */
  listRoleAssignments(
    tenant: TenantName,
    page: PageRequest,
  ): Promise<TenantPageOf<RoleAssignmentRecord> | null>;
  /** Gives a subject these roles in place of those that it was given before. */
  assignRoles(
    tenant: TenantName,
    assignment: Omit<RoleAssignmentRecord, "createdAt">,
  ): Promise<RoleAssigning>;
  unassignRoles(tenant: TenantName, subject: SubjectName): Promise<RoleUnassigning>;
}
