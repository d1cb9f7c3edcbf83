import { setTenantStatus } from "./set-tenant-status.ts";

export const suspendTenant = setTenantStatus(
  "suspend",
  "suspended",
  "Suspend a tenant: its callers are refused until it is resumed",
);
