import { CallerError, defineTool } from "bulkhead-mcp";
import { z } from "zod";
import { assignee, subjectOf } from "../tickets/assignee.ts";
import { freeText, oneLine } from "../tickets/free-text.ts";
import { ticketPriority } from "../tickets/ticket.ts";

/** What a tenant's first ticket is called: four digits look like a number that is worth writing down. */
const FIRST_NUMBER = 1001;

export const openTicket = defineTool({
  name: "open_ticket",
  title: "Open a ticket",
  description:
    "Opens a ticket for a customer and gives its number. Search first: if the same trouble has an open ticket, comment on that one instead. The customer must exist; list_my_customers shows their addresses.",
  input: z.strictObject({
    customerEmail: z.email().max(254).describe("E-mail address of the customer who asks, in any case."),
    subject: oneLine(200).describe("The trouble in one line, as somebody would search for it."),
    body: freeText(10_000).describe(
      "What happened, since when, what was tried, and what the customer needs.",
    ),
    priority: ticketPriority
      .default("normal")
      .describe("urgent: work stands still or somebody may be hurt; high: work is slowed for many."),
    assignee: assignee.default("nobody"),
  }),
  output: z.object({ number: z.int(), uri: z.string() }),
  requires: "tickets:write",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },

  async run(input, ctx) {
    // One statement does it all. The counter's row is locked from its update until the ticket is committed, so no two
    // tickets get one number; and a customer who is not there uses none up, because nothing is selected to insert.
    const [opened] = await ctx.sql<{ number: number }>`
      WITH asking AS (
        SELECT id FROM customers WHERE email = ${input.customerEmail.toLowerCase()}
      ), counted AS (
        INSERT INTO ticket_counters AS counter (last_number) SELECT ${FIRST_NUMBER}::integer FROM asking
        ON CONFLICT (tenant_id) DO UPDATE SET last_number = counter.last_number + 1
        RETURNING last_number
      )
      INSERT INTO tickets (number, customer_id, subject, body, priority, assignee, opened_by, operation_id)
      SELECT counted.last_number, asking.id, ${input.subject}, ${input.body}, ${input.priority},
             ${subjectOf(input.assignee, ctx)}, ${ctx.principal.subject}, ${ctx.operationId}
      FROM asking, counted
      RETURNING number`;
    if (opened === undefined) {
      throw new CallerError(
        `There is no customer ${input.customerEmail}. list_my_customers shows who there is.`,
      );
    }
    const { number } = opened;
    ctx.audit({ ticket: number, priority: input.priority });
    const uri = `helpdesk://tickets/${number}`;
    return {
      content: [
        { type: "text", text: `Opened ticket ${number}: ${input.subject}` },
        { type: "resource_link", uri, name: `Ticket ${number}`, mimeType: "application/json" },
      ],
      structuredContent: { number, uri },
    };
  },
});
