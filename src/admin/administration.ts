import type { PlanRecord } from "../tenancy/plan-record.ts";
import type {
  DeletionProof,
  NewTenant,
  TenantChange,
  TenantName,
  TenantRecord,
} from "../tenancy/tenant-record.ts";
import type { ApiKeyAdministration } from "./api-key-administration.ts";
import type { IssuerAdministration } from "./issuer-administration.ts";
import type { PageOf, PageRequest } from "./page.ts";
import type { RevocationAdministration } from "./revocation-administration.ts";
import type { RoleAssignmentAdministration } from "./role-assignment-administration.ts";

/** Versions at which a change may be made (If-Match); null: at any. */
export type ExpectedVersions = readonly number[] | null;

type TenantMissing = { readonly kind: "tenant_not_found" };
type PlanMissing = { readonly kind: "plan_not_found" };
type VersionConflict = { readonly kind: "version_conflict" };
/** The tenant was to be put on a plan that is not there. */
type PlanUnknown = { readonly kind: "plan_unknown" };
type TenantDone = { readonly kind: "done"; readonly tenant: TenantRecord };

export type TenantCreation = TenantDone | { readonly kind: "slug_taken" } | PlanUnknown;
export type TenantChangeOutcome = TenantDone | TenantMissing | VersionConflict | PlanUnknown;
export type TenantStatusOutcome = TenantDone | TenantMissing | VersionConflict;
export type TenantDeletion =
  | {
      readonly kind: "done";
      readonly proof: DeletionProof;
      /**
       * False where transactions of tenants that had begun before the deletion outlived the wait for them, so that one
       * of them may yet commit a row of this tenant.
       */
      readonly settled: boolean;
    }
  | TenantMissing
  | VersionConflict;
export type PlanPutting =
  | { readonly kind: "created" | "replaced"; readonly plan: PlanRecord }
  | VersionConflict;
export type PlanDeletion =
  | { readonly kind: "done"; readonly plan: PlanRecord }
  | PlanMissing
  | VersionConflict
  | { readonly kind: "plan_in_use" };

/** What the admin API needs of the keeper of tenants. */
interface TenantAdministration {
  listTenants(page: PageRequest): Promise<PageOf<TenantRecord>>;
  tenant(name: TenantName): Promise<TenantRecord | null>;
  createTenant(tenant: NewTenant): Promise<TenantCreation>;
  changeTenant(
    name: TenantName,
    change: TenantChange,
    expected: ExpectedVersions,
  ): Promise<TenantChangeOutcome>;
  /** A tenant that has the status already is left as it is, with its version. */
  setTenantStatus(
    name: TenantName,
    status: TenantRecord["status"],
    expected: ExpectedVersions,
  ): Promise<TenantStatusOutcome>;
  /** Erases everything of the tenant but a tombstone, which keeps its slug from coming back. */
  deleteTenant(name: TenantName, expected: ExpectedVersions): Promise<TenantDeletion>;
}

/** What the admin API needs of the keeper of plans. */
interface PlanAdministration {
  listPlans(page: PageRequest): Promise<PageOf<PlanRecord>>;
  plan(name: string): Promise<PlanRecord | null>;
  putPlan(
    name: string,
    content: Pick<PlanRecord, "limits" | "toolSets">,
    expected: ExpectedVersions,
  ): Promise<PlanPutting>;
  deletePlan(name: string, expected: ExpectedVersions): Promise<PlanDeletion>;
}

/** What the admin API needs of the configuration's keeper. Every method rejects only for faults. */
export interface Administration
  extends TenantAdministration,
    PlanAdministration,
    IssuerAdministration,
    ApiKeyAdministration,
    RevocationAdministration,
    RoleAssignmentAdministration {}
