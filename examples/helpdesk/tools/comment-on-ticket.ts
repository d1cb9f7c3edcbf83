import { defineTool } from "bulkhead-mcp";
import { z } from "zod";
import { freeText } from "../tickets/free-text.ts";
import { ticketStatus } from "../tickets/ticket.ts";
import { ticketNumber } from "../tickets/ticket-number.ts";
import { whyUnchanged } from "../tickets/why-unchanged.ts";

export const commentOnTicket = defineTool({
  name: "comment_on_ticket",
  title: "Comment on a ticket",
  description:
    'Adds a comment to a ticket that is not closed: an answer that the customer can read (internal: false), or a note for the desk only (internal: true). May set the status in the same step: "pending" after asking the customer something, "open" when it is the desk\'s turn again.',
  input: z.strictObject({
    number: ticketNumber,
    body: freeText(10_000),
    // No default: either guess would one day be wrong, and one of the two mistakes cannot be taken back.
    internal: z.boolean().describe("true: for the desk only. false: the customer can read it."),
    status: ticketStatus
      .extract(["open", "pending"])
      .optional()
      .describe("The status from now on; absent: as it was."),
  }),
  output: z.object({ number: z.int(), status: ticketStatus, internal: z.boolean() }),
  requires: "tickets:write",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },

  async run({ number, body, internal, status }, ctx) {
    // The update holds the ticket's row, so that nobody closes it between the look and the comment.
    const [written] = await ctx.sql<{ status: "open" | "pending" }>`
      WITH ticket AS (
        UPDATE tickets SET status = coalesce(${status ?? null}::text, status)
        WHERE number = ${number} AND status <> 'closed'
        RETURNING number, status
      ), comment AS (
        INSERT INTO comments (ticket, author, body, internal, operation_id)
        SELECT number, ${ctx.principal.subject}, ${body}, ${internal}, ${ctx.operationId} FROM ticket
      )
      SELECT status FROM ticket`;
    if (written === undefined) throw await whyUnchanged(ctx.sql, number);
    ctx.audit({ ticket: number, internal });
    const audience = internal ? "for the desk only" : "which the customer can read";
    return {
      content: [
        { type: "text", text: `Added a comment to ticket ${number}, ${audience}. It is ${written.status}.` },
      ],
      structuredContent: { number, status: written.status, internal },
    };
  },
});
