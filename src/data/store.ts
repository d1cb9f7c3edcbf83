import { Fault } from "../core/fault.ts";
import type { TenantSql, TenantStore } from "../tenancy/tenant-context.ts";

const MAX_KEY = 512;
const MAX_VALUE_BYTES = 1_000_000;
const MAX_LIST = 1_000;

/** The key-value store of one tenant, through the tenant door: the tenant's id is the database's business. */
export function createStore(sql: TenantSql): TenantStore {
  return Object.freeze({
    async get<T>(key: string): Promise<T | undefined> {
      const rows = await sql<{ value: T }>`
        SELECT value FROM bulkhead.store_entries WHERE key = ${checkKey(key)} AND (expires_at IS NULL OR expires_at > now())`;
      return rows[0]?.value;
    },
    async put(key: string, value: unknown): Promise<void> {
      await sql`
        INSERT INTO bulkhead.store_entries AS entry (key, value) VALUES (${checkKey(key)}, ${checkValue(value)}::jsonb)
        ON CONFLICT (tenant_id, key) DO UPDATE
          SET value = excluded.value, version = entry.version + 1, expires_at = NULL, updated_at = now()`;
    },
    async delete(key: string): Promise<boolean> {
      const rows =
        await sql`DELETE FROM bulkhead.store_entries WHERE key = ${checkKey(key)} RETURNING 1 AS gone`;
      return rows.length > 0;
    },
    async list(prefix = "", options: { limit?: number; after?: string } = {}): Promise<string[]> {
      if (prefix !== "") checkKey(prefix);
      const after = options.after ?? "";
      if (after !== "") checkKey(after);
      const limit = Math.min(Math.trunc(options.limit ?? 100), MAX_LIST);
      if (!(limit >= 1)) return [];
      const rows = await sql<{ key: string }>`
        SELECT key FROM bulkhead.store_entries
         WHERE starts_with(key, ${prefix}) AND key > ${after} AND (expires_at IS NULL OR expires_at > now())
         ORDER BY key LIMIT ${limit}`;
      return rows.map((row) => row.key);
    },
  });
}

function checkKey(key: string): string {
  if (
    typeof key !== "string" ||
    key.length < 1 ||
    key.length > MAX_KEY ||
    key.includes("\0") ||
    !key.isWellFormed()
  ) {
    throw new Fault("store_key_invalid");
  }
  return key;
}

function checkValue(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    // A bigint, an object that contains itself, a toJSON that throws.
    throw new Fault("store_value_invalid", { cause });
  }
  // PostgreSQL's jsonb holds neither NUL characters nor lone surrogates; JSON.stringify writes both as escapes.
  if (
    text === undefined ||
    Buffer.byteLength(text) > MAX_VALUE_BYTES ||
    /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/i.test(text)
  ) {
    throw new Fault("store_value_invalid");
  }
  return text;
}
