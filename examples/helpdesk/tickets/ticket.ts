import type { SqlStatement, TenantSql } from "bulkhead-mcp";
import { z } from "zod";

export const ticketStatus = z
  .enum(["open", "pending", "closed"])
  .describe("open: the desk has to act; pending: waiting for the customer; closed: done.");

export const ticketPriority = z.enum(["low", "normal", "high", "urgent"]);

/** JSON has no dates. */
const instant = z.string().meta({ format: "date-time" });

/** A ticket as it stands in a list. */
export const ticketSummary = z.object({
  number: z.int(),
  subject: z.string(),
  status: ticketStatus,
  priority: ticketPriority,
  customer: z.object({ name: z.string(), email: z.string(), company: z.string() }),
  assignee: z.string().nullable().describe("Subject of whoever works on it; null: nobody yet."),
  openedAt: instant,
  closedAt: instant.nullable(),
});

const ticketComment = z.object({
  author: z.string().describe("Subject of a colleague, or the customer's e-mail address."),
  body: z.string(),
  internal: z.boolean().describe("True: for the desk only, never to be told to the customer."),
  at: instant,
});

/** A ticket with all that is known about it. */
export const ticket = ticketSummary.extend({
  body: z.string(),
  openedBy: z.string(),
  operationId: z.string().describe("The operation that opened it, as the audit trail names it."),
  resolution: z.string().nullable(),
  escalatedAt: instant.nullable(),
  comments: z.array(ticketComment).describe("The latest 100, oldest first."),
  earlierComments: z.int().describe("How many comments are older than those shown."),
});

export type TicketSummary = z.infer<typeof ticketSummary>;
export type Ticket = z.infer<typeof ticket>;

/** What {@link summaryColumns} selects. */
export type TicketSummaryRow = {
  number: number;
  subject: string;
  status: TicketSummary["status"];
  priority: TicketSummary["priority"];
  assignee: string | null;
  openedAt: Date;
  closedAt: Date | null;
  customerName: string;
  customerEmail: string;
  customerCompany: string;
};

/** The columns of a summary, to be placed into a SELECT from tickets t and customers c. */
export function summaryColumns(sql: TenantSql): SqlStatement {
  return sql`
    t.number, t.subject, t.status, t.priority, t.assignee,
    t.opened_at AS "openedAt", t.closed_at AS "closedAt",
    c.name AS "customerName", c.email AS "customerEmail", c.company AS "customerCompany"`;
}

export function summaryOf(row: TicketSummaryRow): TicketSummary {
  return {
    number: row.number,
    subject: row.subject,
    status: row.status,
    priority: row.priority,
    customer: { name: row.customerName, email: row.customerEmail, company: row.customerCompany },
    assignee: row.assignee,
    openedAt: row.openedAt.toISOString(),
    closedAt: row.closedAt?.toISOString() ?? null,
  };
}
