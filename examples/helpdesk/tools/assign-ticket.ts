import { defineTool } from "bulkhead-mcp";
import { z } from "zod";
import { assignee, subjectOf } from "../tickets/assignee.ts";
import { ticketNumber } from "../tickets/ticket-number.ts";
import { whyUnchanged } from "../tickets/why-unchanged.ts";

export const assignTicket = defineTool({
  name: "assign_ticket",
  title: "Assign a ticket",
  description:
    "Says who works on a ticket that is not closed: the caller, a colleague, or nobody. Replaces whoever it was assigned to.",
  input: z.strictObject({ number: ticketNumber, assignee }),
  output: z.object({ number: z.int(), assignee: z.string().nullable() }),
  requires: "tickets:write",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },

  async run(input, ctx) {
    const [assigned] = await ctx.sql<{ number: number; assignee: string | null }>`
      UPDATE tickets SET assignee = ${subjectOf(input.assignee, ctx)}
      WHERE number = ${input.number} AND status <> 'closed'
      RETURNING number, assignee`;
    if (assigned === undefined) throw await whyUnchanged(ctx.sql, input.number);
    ctx.audit({ ticket: assigned.number, assignee: assigned.assignee });
    return {
      content: [
        { type: "text", text: `Ticket ${assigned.number} is assigned to ${assigned.assignee ?? "nobody"}.` },
      ],
      structuredContent: assigned,
    };
  },
});
