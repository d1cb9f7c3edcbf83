import type { Slug, TenantId } from "../core/ids.ts";
import type { PartialLimits } from "./limits.ts";
import type { DpopMode, Roles } from "./tenant-snapshot.ts";

/** What calls a tenant by name: the two forms share no string, since a slug has no underscore. */
export type TenantName = TenantId | Slug;

/** A tenant as its operator configured it, with what its plan says where it says nothing itself. */
export interface TenantRecord {
  readonly id: TenantId;
  readonly slug: Slug;
  readonly name: string;
  readonly plan: string;
  readonly status: "active" | "suspended";
  /** The override alone. */
  readonly limits: PartialLimits;
  readonly planLimits: PartialLimits;
  /** Null: the plan's. */
  readonly toolSets: readonly string[] | null;
  readonly planToolSets: readonly string[];
  readonly scopes: readonly string[];
  readonly roles: Roles;
  readonly settings: Readonly<Record<string, unknown>>;
  /** Whether API keys are taken. */
  readonly apiKeys: boolean;
  readonly dpop: DpopMode;
  readonly placement: "shared" | "dedicated";
  /** Counts the changes of this tenant, from 1. */
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export interface NewTenant {
  readonly id: TenantId;
  readonly slug: Slug;
  readonly name: string;
  readonly plan: string;
  readonly limits: PartialLimits;
  readonly toolSets: readonly string[] | null;
  readonly scopes: readonly string[];
  readonly roles: Roles;
  readonly settings: Readonly<Record<string, unknown>>;
}

/** Members to replace, each as a whole; what is absent stays. */
export interface TenantChange {
  readonly name?: string | undefined;
  readonly plan?: string | undefined;
  readonly limits?: PartialLimits | undefined;
  readonly toolSets?: readonly string[] | null | undefined;
  readonly scopes?: readonly string[] | undefined;
  readonly roles?: Roles | undefined;
  readonly settings?: Readonly<Record<string, unknown>> | undefined;
  readonly apiKeys?: boolean | undefined;
  readonly dpop?: DpopMode | undefined;
}

/** What the deletion of a tenant removed: rows by table, tables without rows included. */
export interface DeletionProof {
  readonly id: TenantId;
  readonly slug: Slug;
  readonly erased: Readonly<Record<string, number>>;
  readonly deletedAt: Date;
}
