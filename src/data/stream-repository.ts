import type { SessionId, TenantId } from "../core/ids.ts";
import type { SystemDoor } from "./system-door.ts";

/** A stream of a session. */
export interface StreamName {
  readonly tenantId: TenantId;
  readonly sessionId: SessionId;
  readonly streamId: string;
}

/** What was said on a stream. `seq` 0, with an empty message: that it was opened. */
export interface StreamRow extends StreamName {
  readonly seq: number;
  /** A JSON-RPC message; null: nothing follows. */
  readonly message: string | null;
}

/** What was said on the streams of sessions, in PostgreSQL: kept for five minutes. */
export interface StreamRepository {
  /**
   * Commits all, once each; none of sessions that are not there any more. That a stream was opened may be noted again, so
   * that a quiet one is not forgotten.
   */
  write(rows: readonly StreamRow[]): Promise<void>;
  /** Leaves of each of the streams the newest so many events and bytes. */
  trim(
    streams: readonly StreamName[],
    kept: { readonly events: number; readonly bytes: number },
  ): Promise<void>;
  /**
   * What follows `afterSeq`, in order: as many as begin within the first so many bytes, and so at least one. Null: there
   * is no such stream.
   */
  read(
    stream: StreamName,
    from: { readonly afterSeq: number; readonly bytes: number },
  ): Promise<readonly { readonly seq: number; readonly message: string | null }[] | null>;
}

export function createStreamRepository(system: SystemDoor): StreamRepository {
  return {
    write: (rows) =>
      system.run("keep streams", async (db) => {
        // A session that is being removed is locked: nobody waits for that, least of all for the end of a whole tenant.
        await db.query(
          `WITH present AS MATERIALIZED (
             SELECT s.tenant_id, s.id FROM bulkhead.sessions s
              WHERE (s.tenant_id, s.id) IN (SELECT n.tenant_id, n.id FROM unnest($1::text[], $2::text[]) AS n (tenant_id, id))
                FOR KEY SHARE SKIP LOCKED)
           INSERT INTO bulkhead.stream_events (tenant_id, session_id, stream_id, seq, message)
           SELECT DISTINCT ON (e.tenant_id, e.session_id, e.stream_id, e.seq)
                  e.tenant_id, e.session_id, e.stream_id, e.seq, e.message
             FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[])
               AS e (tenant_id, session_id, stream_id, seq, message)
             JOIN present p ON p.tenant_id = e.tenant_id AND p.id = e.session_id
           ON CONFLICT (tenant_id, session_id, stream_id, seq) DO UPDATE SET at = now() WHERE excluded.seq = 0`,
          [...columns(rows), rows.map(({ seq }) => seq), rows.map(({ message }) => message)],
        );
      }),

    trim: (streams, { events, bytes }) =>
      system.run("keep streams", async (db) => {
        await db.query(
          `DELETE FROM bulkhead.stream_events e
            USING (SELECT t.tenant_id, t.session_id, t.stream_id, t.seq, row_number() OVER newest AS events,
                          sum(octet_length(t.message)) OVER newest AS bytes
                     FROM bulkhead.stream_events t
                     JOIN unnest($1::text[], $2::text[], $3::text[]) AS n (tenant_id, session_id, stream_id)
                       USING (tenant_id, session_id, stream_id)
                   WINDOW newest AS (PARTITION BY t.tenant_id, t.session_id, t.stream_id ORDER BY t.seq DESC)) AS o
            WHERE (o.events > $4 OR o.bytes > $5)
              AND e.tenant_id = o.tenant_id AND e.session_id = o.session_id AND e.stream_id = o.stream_id AND e.seq = o.seq`,
          [...columns(streams), events, bytes],
        );
      }),

    read: ({ tenantId, sessionId, streamId }, { afterSeq, bytes }) =>
      system.run("keep streams", async (db) => {
        const stream = [tenantId, sessionId, streamId];
        const { rows } = await db.query<{ seq: number; message: string | null }>(
          `SELECT o.seq, o.message
             FROM (SELECT e.seq, e.message, coalesce(sum(octet_length(e.message)) OVER (
                            ORDER BY e.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
                     FROM bulkhead.stream_events e
                    WHERE e.tenant_id = $1 AND e.session_id = $2 AND e.stream_id = $3 AND e.seq > $4) AS o
            WHERE o.before < $5 ORDER BY o.seq`,
          [...stream, afterSeq, bytes],
        );
        if (rows.length > 0) return rows;
        const { rowCount } = await db.query(
          `SELECT 1 FROM bulkhead.stream_events e
            WHERE e.tenant_id = $1 AND e.session_id = $2 AND e.stream_id = $3 LIMIT 1`,
          stream,
        );
        return rowCount === 1 ? [] : null;
      }),
  };
}

function columns(streams: readonly StreamName[]): [string[], string[], string[]] {
  return [
    streams.map(({ tenantId }) => tenantId),
    streams.map(({ sessionId }) => sessionId),
    streams.map(({ streamId }) => streamId),
  ];
}
