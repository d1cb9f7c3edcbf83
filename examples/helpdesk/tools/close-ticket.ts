import { defineTool } from "bulkhead-mcp";
import { z } from "zod";
import { freeText } from "../tickets/free-text.ts";
import { ticketNumber } from "../tickets/ticket-number.ts";
import { whyUnchanged } from "../tickets/why-unchanged.ts";

export const closeTicket = defineTool({
  name: "close_ticket",
  title: "Close a ticket",
  description:
    "Closes a ticket for good, with the resolution that the customer is told. A closed ticket takes no comments and is not opened again: close only what is settled.",
  input: z.strictObject({
    number: ticketNumber,
    resolution: freeText(4000).describe("What the cause was and what settled it, in words for the customer."),
  }),
  output: z.object({ number: z.int(), hoursOpen: z.number() }),
  requires: "tickets:manage",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: false },

  async run({ number, resolution }, ctx) {
    // greatest(): a database server that takes over may have a clock that is a little behind.
    const [closed] = await ctx.sql<{ number: number; hoursOpen: number }>`
      UPDATE tickets
      SET status = 'closed', closed_at = greatest(now(), opened_at), resolution = ${resolution}
      WHERE number = ${number} AND status <> 'closed'
      RETURNING number, round(extract(epoch FROM closed_at - opened_at) / 3600, 1)::float8 AS "hoursOpen"`;
    if (closed === undefined) throw await whyUnchanged(ctx.sql, number);
    ctx.audit({ ticket: number });
    return {
      content: [{ type: "text", text: `Closed ticket ${number} after ${closed.hoursOpen} hours.` }],
      structuredContent: closed,
    };
  },
});
