import type { AdminOperation } from "./admin-operation.ts";
import { changeTenant } from "./operations/change-tenant.ts";
import { createApiKey } from "./operations/create-api-key.ts";
import { createBroker } from "./operations/create-broker.ts";
import { createIssuer } from "./operations/create-issuer.ts";
import { createRevocation } from "./operations/create-revocation.ts";
import { createTenant } from "./operations/create-tenant.ts";
import { deleteApiKey } from "./operations/delete-api-key.ts";
import { deleteBroker } from "./operations/delete-broker.ts";
import { deleteIssuer } from "./operations/delete-issuer.ts";
import { deletePlan } from "./operations/delete-plan.ts";
import { deleteRevocation } from "./operations/delete-revocation.ts";
import { deleteRoleAssignment } from "./operations/delete-role-assignment.ts";
import { deleteTenant } from "./operations/delete-tenant.ts";
import { explainAccess } from "./operations/explain-access.ts";
import { getPlan } from "./operations/get-plan.ts";
import { getTenant } from "./operations/get-tenant.ts";
import { issueDevelopmentToken } from "./operations/issue-development-token.ts";
import { listApiKeys } from "./operations/list-api-keys.ts";
import { listBrokers } from "./operations/list-brokers.ts";
import { listIssuers } from "./operations/list-issuers.ts";
import { listPlans } from "./operations/list-plans.ts";
import { listRevocations } from "./operations/list-revocations.ts";
import { listRoleAssignments } from "./operations/list-role-assignments.ts";
import { listTenants } from "./operations/list-tenants.ts";
import { putPlan } from "./operations/put-plan.ts";
import { putRoleAssignment } from "./operations/put-role-assignment.ts";
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
  explainAccess,
  listPlans,
  getPlan,
  putPlan,
  deletePlan,
  listBrokers,
  createBroker,
  deleteBroker,
  listIssuers,
  createIssuer,
  deleteIssuer,
  listApiKeys,
  createApiKey,
  deleteApiKey,
  listRevocations,
  createRevocation,
  deleteRevocation,
  listRoleAssignments,
  putRoleAssignment,
  deleteRoleAssignment,
];

/** Those that exist in development mode alone. */
export const DEVELOPMENT_OPERATIONS: readonly AdminOperation[] = [issueDevelopmentToken];
