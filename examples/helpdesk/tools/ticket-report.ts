import { defineTool } from "bulkhead-mcp";
import { z } from "zod";
import { type TicketSummary, ticketPriority, ticketStatus } from "../tickets/ticket.ts";

const byPriority = z.object({ low: z.int(), normal: z.int(), high: z.int(), urgent: z.int() });
const byStatus = z.object({ open: byPriority, pending: byPriority, closed: byPriority });

type ReportRow = {
  counts: readonly {
    status: TicketSummary["status"];
    priority: TicketSummary["priority"];
    tickets: number;
  }[];
  oldest: { number: number; subject: string; hours: number } | null;
  opened: number;
  closed: number;
  meanHoursToClose: number | null;
};

export const ticketReport = defineTool({
  name: "ticket_report",
  title: "Report on the desk",
  description:
    "How the desk is doing: how many tickets there are by status and priority, the oldest one that waits for the desk, how many were opened and closed in the last so many days, and how long the closed ones took on average.",
  input: z.strictObject({
    days: z.int().min(1).max(366).default(30).describe("Length of the period that ends now."),
  }),
  output: z.object({
    days: z.int(),
    counts: byStatus.describe("All tickets, whenever opened."),
    oldestOpen: z
      .object({ number: z.int(), subject: z.string(), hoursOpen: z.number() })
      .nullable()
      .describe("The oldest ticket of status open; null: there is none."),
    opened: z.int().describe("Tickets opened in the period."),
    closed: z.int().describe("Tickets closed in the period."),
    meanHoursToClose: z.number().nullable().describe("Of the tickets closed in the period; null: none was."),
  }),
  requires: "reports:read",
  // A plan switches this set on; a tenant without it has no such tool, whatever its users may do.
  toolSet: "reports",
  annotations: { readOnlyHint: true, openWorldHint: false },

  async run({ days }, ctx) {
    // One statement sees one state of the desk: the parts of the report cannot disagree.
    const [row] = await ctx.sql<ReportRow>`
      WITH period AS (
        SELECT now() - make_interval(days => ${days}::integer) AS since
      ), counted AS (
        SELECT status, priority, count(*) AS tickets,
               count(*) FILTER (WHERE opened_at >= (SELECT since FROM period)) AS opened
        FROM tickets GROUP BY status, priority
      ), closings AS (
        SELECT count(*)::integer AS closed,
               round(avg(extract(epoch FROM closed_at - opened_at)) / 3600, 1)::float8 AS mean_hours
        FROM tickets WHERE closed_at >= (SELECT since FROM period)
      )
      SELECT
        (SELECT coalesce(jsonb_agg(to_jsonb(counted)), '[]') FROM counted) AS counts,
        (SELECT coalesce(sum(opened), 0)::integer FROM counted) AS opened,
        closings.closed,
        closings.mean_hours AS "meanHoursToClose",
        (SELECT jsonb_build_object('number', number, 'subject', subject,
                                   'hours', round(extract(epoch FROM now() - opened_at) / 3600, 1))
           FROM tickets WHERE status = 'open' ORDER BY number LIMIT 1) AS oldest
      FROM closings`;
    if (row === undefined) throw new Error("An aggregate without GROUP BY gave no row.");

    const counts: z.infer<typeof byStatus> = { open: noneOf(), pending: noneOf(), closed: noneOf() };
    for (const { status, priority, tickets } of row.counts) counts[status][priority] = tickets;
    const { opened, closed, meanHoursToClose, oldest } = row;
    const oldestOpen =
      oldest === null ? null : { number: oldest.number, subject: oldest.subject, hoursOpen: oldest.hours };

    const lines = ticketStatus.options.map((status) => {
      const parts = ticketPriority.options.map((priority) => `${counts[status][priority]} ${priority}`);
      return `${status}: ${parts.join(", ")}`;
    });
    lines.push(`Last ${days === 1 ? "day" : `${days} days`}: ${opened} opened, ${closed} closed.`);
    if (meanHoursToClose !== null) lines.push(`Mean time to close: ${meanHoursToClose} hours.`);
    if (oldestOpen !== null) {
      lines.push(
        `Oldest open: #${oldestOpen.number} ${oldestOpen.subject}, for ${oldestOpen.hoursOpen} hours.`,
      );
    }
    return {
      content: [{ type: "text", text: lines.join("\n") }],
      structuredContent: { days, counts, oldestOpen, opened, closed, meanHoursToClose },
    };
  },
});

function noneOf(): z.infer<typeof byPriority> {
  return { low: 0, normal: 0, high: 0, urgent: 0 };
}
