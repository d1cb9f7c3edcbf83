import { setTenantStatus } from "./set-tenant-status.ts";

export const resumeTenant = setTenantStatus("resume", "active", "Serve a suspended tenant again");
