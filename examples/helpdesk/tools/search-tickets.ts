import { defineTool } from "bulkhead-mcp";
import { z } from "zod";
import { assignee, subjectOf } from "../tickets/assignee.ts";
import { freeText } from "../tickets/free-text.ts";
import {
  summaryColumns,
  summaryOf,
  type TicketSummaryRow,
  ticketPriority,
  ticketStatus,
  ticketSummary,
} from "../tickets/ticket.ts";
import { ticketLine } from "../tickets/ticket-text.ts";

export const searchTickets = defineTool({
  name: "search_tickets",
  title: "Search tickets",
  description:
    "Finds tickets by words in their subject and first message, and by status, priority and assignee. All conditions must hold; with none, lists all tickets. Newest first, in pages: pass nextCursor as cursor, with the same conditions, for the next page. Comments are not searched. To read one ticket whose number you know, use get_ticket.",
  input: z.strictObject({
    text: freeText(200)
      .optional()
      .describe(
        'English words, in any form ("crash" finds "crashed"). "a phrase" in quotes, -word to exclude, OR between alternatives.',
      ),
    status: ticketStatus.optional(),
    priority: ticketPriority.optional(),
    assignee: assignee.optional(),
    limit: z.int().min(1).max(50).default(20).describe("Tickets a page."),
    cursor: z
      .string()
      .regex(/^[1-9][0-9]{0,8}$/)
      .optional()
      .describe("nextCursor of the page before."),
  }),
  output: z.object({
    tickets: z.array(ticketSummary),
    nextCursor: z.string().nullable().describe("null: this is the last page."),
  }),
  requires: "tickets:read",
  annotations: { readOnlyHint: true, openWorldHint: false },

  async run({ text, status, priority, assignee, limit, cursor }, ctx) {
    const { sql } = ctx;
    const worker = assignee === undefined ? undefined : subjectOf(assignee, ctx);
    const always = sql`TRUE`;
    // The page after a number stays the same page while new tickets arrive, which an offset would not give.
    const rows = await sql<TicketSummaryRow>`
      SELECT ${summaryColumns(sql)}
      FROM tickets t JOIN customers c ON c.id = t.customer_id
      WHERE ${text === undefined ? always : sql`t.search @@ websearch_to_tsquery('pg_catalog.english', ${text})`}
        AND ${status === undefined ? always : sql`t.status = ${status}`}
        AND ${priority === undefined ? always : sql`t.priority = ${priority}`}
        AND ${worker === undefined ? always : worker === null ? sql`t.assignee IS NULL` : sql`t.assignee = ${worker}`}
        AND ${cursor === undefined ? always : sql`t.number < ${Number(cursor)}`}
      ORDER BY t.number DESC
      LIMIT ${limit + 1}`;
    const tickets = rows.slice(0, limit).map(summaryOf);
    const nextCursor = rows.length > limit ? String(tickets.at(-1)?.number) : null;
    const lines = tickets.map(ticketLine);
    if (lines.length === 0) lines.push(cursor === undefined ? "No ticket matches." : "No further tickets.");
    if (nextCursor !== null) lines.push(`There are more: call again with cursor "${nextCursor}".`);
    return {
      content: [{ type: "text", text: lines.join("\n") }],
      structuredContent: { tickets, nextCursor },
    };
  },
});
