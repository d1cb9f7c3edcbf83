import type { AdminOperation } from "./admin-operation.ts";
import { changeTenant } from "./operations/change-tenant.ts";
import { createTenant } from "./operations/create-tenant.ts";
import { deletePlan } from "./operations/delete-plan.ts";
import { deleteTenant } from "./operations/delete-tenant.ts";
import { getPlan } from "./operations/get-plan.ts";
import { getTenant } from "./operations/get-tenant.ts";
import { listPlans } from "./operations/list-plans.ts";
import { listTenants } from "./operations/list-tenants.ts";
import { putPlan } from "./operations/put-plan.ts";
import { resumeTenant } from "./operations/resume-tenant.ts";
import { suspendTenant } from "./operations/suspend-tenant.ts";

/** Every operation of the admin API, in the order in which the OpenAPI document shows them. */
export const ADMIN_OPERATIONS: readonly AdminOperation[] = [
  listTenants,
  createTenant,
  getTenant,
  changeTenant,
  deleteTenant,
  suspendTenant,
  resumeTenant,
  listPlans,
  getPlan,
  putPlan,
  deletePlan,
];
