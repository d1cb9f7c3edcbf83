import type { ApiKeyRecord } from "../tenancy/api-key-record.ts";

/** @param now milliseconds since 1970. */
export function showApiKey(record: ApiKeyRecord, now: number) {
  const { id, name, permissions, createdAt, expiresAt, createdBy } = record;
  return {
    id,
    name,
    permissions,
    createdAt: createdAt.toISOString(),
    expiresAt: expiresAt.toISOString(),
    expired: expiresAt.getTime() <= now,
    createdBy,
  };
}
