import type { SessionId, TenantId } from "../core/ids.ts";
import type { SystemDoor } from "./system-door.ts";

/** What a session is found by: an id alone finds nothing. */
export interface SessionName {
  readonly tenantId: TenantId;
  readonly sessionId: SessionId;
}

/** A session as it is written when it begins. */
export interface NewSession extends SessionName {
  readonly principalKey: string;
  readonly revision: string;
  /** JSON of at most 64 KB. */
  readonly client: string;
  readonly logLevel: string | null;
}

/** A session as it is kept. */
export interface KeptSession extends NewSession {
  readonly subscriptions: readonly string[];
  /** It was last noted as used a minute ago or longer. */
  readonly unseen: boolean;
}

/** Sessions of the previous generation in PostgreSQL. One that was not used for 24 hours is not there any more. */
export interface SessionRepository {
  /**
   * @param bound.most sessions that a tenant may have, counted under a lock.
   * @param bound.makeRoom whether, where it has them, whoever has the most loses the one that was not used for longest.
   */
  insert(
    session: NewSession,
    bound: { readonly most: number; readonly makeRoom: boolean },
  ): Promise<"opened" | "full" | "no_tenant">;
  /** Those that are there, in any order. */
  find(names: readonly SessionName[]): Promise<readonly KeptSession[]>;
  /** Null: there is no such session. So for the next two, which give the session as it is afterwards. */
  setLogLevel(name: SessionName, level: string): Promise<KeptSession | null>;
  /** Leaves it as it is where it has so many subscriptions, or so many bytes of them. */
  subscribe(
    name: SessionName,
    uri: string,
    most: { readonly uris: number; readonly bytes: number },
  ): Promise<KeptSession | null>;
  unsubscribe(name: SessionName, uri: string): Promise<KeptSession | null>;
  /** Notes that they are used. */
  touch(names: readonly SessionName[]): Promise<void>;
  /** @returns false where it was not there. */
  remove(name: SessionName): Promise<boolean>;
}

const COLUMNS = `s.tenant_id AS "tenantId", s.id AS "sessionId", s.principal AS "principalKey", s.revision, s.client,
  s.log_level AS "logLevel", s.subscriptions, s.seen_at < now() - interval '1 minute' AS unseen`;

/** Housekeeping removes the others; until then they are not found. */
const LIVE = "s.seen_at > now() - interval '24 hours'";

export function createSessionRepository(system: SystemDoor): SessionRepository {
  const change = (text: string, values: readonly unknown[]): Promise<KeptSession | null> =>
    system.run("keep sessions", async (db) => {
      const { rows } = await db.query<KeptSession>(`${text} RETURNING ${COLUMNS}`, values);
      return rows[0] ?? null;
    });

  return {
    insert: ({ tenantId, sessionId, principalKey, revision, client, logLevel }, { most, makeRoom }) =>
      system.run("keep sessions", async (db) => {
        const { rows } = await db.query<{ outcome: "opened" | "full" | "no_tenant" }>(
          "SELECT bulkhead.open_session($1, $2, $3, $4, $5, $6, $7, $8) AS outcome",
          [tenantId, sessionId, principalKey, revision, client, logLevel, most, makeRoom],
        );
        return rows[0]?.outcome ?? "no_tenant";
      }),

    find: (names) =>
      system.run("keep sessions", async (db) => {
        const { rows } = await db.query<KeptSession>(
          `SELECT ${COLUMNS} FROM unnest($1::text[], $2::text[]) AS n (tenant_id, id)
             JOIN bulkhead.sessions s USING (tenant_id, id) WHERE ${LIVE}`,
          columns(names),
        );
        return rows;
      }),

    setLogLevel: ({ tenantId, sessionId }, level) =>
      change(
        `UPDATE bulkhead.sessions s SET log_level = $3 WHERE s.tenant_id = $1 AND s.id = $2 AND ${LIVE}`,
        [tenantId, sessionId, level],
      ),

    subscribe: ({ tenantId, sessionId }, uri, most) =>
      change(
        `UPDATE bulkhead.sessions s SET subscriptions =
           CASE WHEN $3 = ANY (s.subscriptions) OR cardinality(s.subscriptions) >= $4
                     OR octet_length(array_to_string(s.subscriptions, '')) >= $5 THEN s.subscriptions
                ELSE s.subscriptions || $3::text END
          WHERE s.tenant_id = $1 AND s.id = $2 AND ${LIVE}`,
        [tenantId, sessionId, uri, most.uris, most.bytes],
      ),

    unsubscribe: ({ tenantId, sessionId }, uri) =>
      change(
        `UPDATE bulkhead.sessions s SET subscriptions = array_remove(s.subscriptions, $3)
          WHERE s.tenant_id = $1 AND s.id = $2 AND ${LIVE}`,
        [tenantId, sessionId, uri],
      ),

    touch: (names) =>
      system.run("keep sessions", async (db) => {
        // A row that somebody else changes is in use as well; nobody waits for it, so no two instances for each other.
        await db.query(
          `UPDATE bulkhead.sessions s SET seen_at = now()
             FROM (SELECT t.tenant_id, t.id FROM bulkhead.sessions t
                     JOIN unnest($1::text[], $2::text[]) AS n (tenant_id, id) USING (tenant_id, id)
                      FOR NO KEY UPDATE OF t SKIP LOCKED) AS used
            WHERE s.tenant_id = used.tenant_id AND s.id = used.id`,
          columns(names),
        );
      }),

    remove: ({ tenantId, sessionId }) =>
      system.run("keep sessions", async (db) => {
        const { rowCount } = await db.query(
          `DELETE FROM bulkhead.sessions s WHERE s.tenant_id = $1 AND s.id = $2`,
          [tenantId, sessionId],
        );
        return rowCount === 1;
      }),
  };
}

function columns(names: readonly SessionName[]): [string[], string[]] {
  return [names.map(({ tenantId }) => tenantId), names.map(({ sessionId }) => sessionId)];
}
