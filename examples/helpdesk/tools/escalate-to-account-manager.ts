import { CallerError, defineTool } from "bulkhead-mcp";
import { z } from "zod";
import { freeText } from "../tickets/free-text.ts";
import { ticketNumber } from "../tickets/ticket-number.ts";
import { whyUnchanged } from "../tickets/why-unchanged.ts";

/** Key in the tenant's store, and what is kept there. */
const KEY = "account-manager";
const accountManager = z.object({ subject: z.string().min(1).max(255), name: z.string().min(1).max(120) });

export const escalateToAccountManager = defineTool({
  name: "escalate_to_account_manager",
  title: "Escalate to the account manager",
  description:
    "Hands a ticket that is not closed to this desk's account manager: assigns it to them, makes it urgent, and leaves the reason as an internal note. For trouble that endangers the contract, not for slow answers. A ticket is escalated once.",
  input: z.strictObject({
    number: ticketNumber,
    reason: freeText(1000).describe(
      "Why it cannot wait, for the account manager; the customer does not see it.",
    ),
  }),
  output: z.object({ number: z.int(), accountManager: z.string().describe("Name of whoever has it now.") }),
  requires: "tickets:write",
  // Agreed with Acme alone: for every other tenant this tool does not exist.
  tenants: ["acme"],
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },

  async run({ number, reason }, ctx) {
    const manager = accountManager.safeParse(await ctx.store.get(KEY));
    if (!manager.success)
      throw new CallerError("No account manager is named for this desk. Ask its administrator.");
    const { subject, name } = manager.data;
    const [escalated] = await ctx.sql<{ number: number }>`
      WITH ticket AS (
        UPDATE tickets SET priority = 'urgent', assignee = ${subject}, escalated_at = now()
        WHERE number = ${number} AND status <> 'closed' AND escalated_at IS NULL
        RETURNING number
      ), note AS (
        INSERT INTO comments (ticket, author, body, internal, operation_id)
        SELECT number, ${ctx.principal.subject}, ${`Escalated to ${name}: ${reason}`}, true, ${ctx.operationId}
        FROM ticket
      )
      SELECT number FROM ticket`;
    if (escalated === undefined) {
      const [before] = await ctx.sql`
        SELECT number FROM tickets WHERE number = ${number} AND status <> 'closed' AND escalated_at IS NOT NULL`;
      if (before !== undefined) throw new CallerError(`Ticket ${number} was escalated before; ask ${name}.`);
      throw await whyUnchanged(ctx.sql, number);
    }
    ctx.audit({ ticket: number, accountManager: subject });
    ctx.log.warn("ticket escalated", { ticket: number });
    return {
      content: [{ type: "text", text: `Ticket ${number} is urgent and with ${name}, the account manager.` }],
      structuredContent: { number, accountManager: name },
    };
  },
});
