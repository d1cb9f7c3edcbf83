import type { TenantId } from "../core/ids.ts";
import type { IssuerAdministration } from "./issuer-administration.ts";

/** More than a tenant can have, with the brokers that it is mapped to. */
const ALL = 200;

/** Whether a tenant takes tokens of an issuer. Read anew: a snapshot may be older than a registration just made. */
export async function isIssuerRegistered(
  administration: Pick<IssuerAdministration, "listIssuers">,
  tenant: TenantId,
  issuer: string,
): Promise<boolean> {
  const page = await administration.listIssuers(tenant, { after: null, limit: ALL });
  return page?.items.some((one) => one.issuer === issuer) ?? false;
}
