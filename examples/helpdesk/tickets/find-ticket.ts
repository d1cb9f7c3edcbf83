import type { TenantSql } from "bulkhead-mcp";
import { summaryColumns, summaryOf, type Ticket, type TicketSummaryRow } from "./ticket.ts";

/** So that a ticket that was discussed for a year still fits into a model's window. */
const COMMENTS_SHOWN = 100;

type TicketRow = TicketSummaryRow & {
  body: string;
  openedBy: string;
  operationId: string;
  resolution: string | null;
  escalatedAt: Date | null;
  commentCount: number;
  comments: readonly { author: string; body: string; internal: boolean; at: string }[];
};

/** The ticket of this number, or undefined where this tenant has none. One statement, so that all parts agree. */
export async function findTicket(sql: TenantSql, number: number): Promise<Ticket | undefined> {
  const [row] = await sql<TicketRow>`
    SELECT ${summaryColumns(sql)},
      t.body, t.opened_by AS "openedBy", t.operation_id AS "operationId", t.resolution,
      t.escalated_at AS "escalatedAt",
      (SELECT count(*)::integer FROM comments WHERE comments.ticket = t.number) AS "commentCount",
      (SELECT coalesce(jsonb_agg(to_jsonb(latest) ORDER BY latest.at, latest.id), '[]')
         FROM (SELECT id, author, body, internal, at FROM comments
                WHERE comments.ticket = t.number
                ORDER BY at DESC, id DESC LIMIT ${COMMENTS_SHOWN}) AS latest) AS comments
    FROM tickets t JOIN customers c ON c.id = t.customer_id
    WHERE t.number = ${number}`;
  if (row === undefined) return undefined;
  return {
    ...summaryOf(row),
    body: row.body,
    openedBy: row.openedBy,
    operationId: row.operationId,
    resolution: row.resolution,
    escalatedAt: row.escalatedAt?.toISOString() ?? null,
    comments: row.comments.map(({ author, body, internal, at }) => ({
      author,
      body,
      internal,
      at: new Date(at).toISOString(),
    })),
    earlierComments: row.commentCount - row.comments.length,
  };
}
