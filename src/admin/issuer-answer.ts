import type { IssuerRecord } from "../tenancy/issuer-record.ts";

export function showIssuer(record: IssuerRecord) {
  return { ...record, createdAt: record.createdAt.toISOString() };
}
