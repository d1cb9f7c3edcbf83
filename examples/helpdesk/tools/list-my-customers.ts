import { defineTool } from "bulkhead-mcp";
import { z } from "zod";

export const listMyCustomers = defineTool({
  name: "list_my_customers",
  title: "List customers",
  description:
    "Lists the customers of this desk by name, with the e-mail addresses that open_ticket asks for.",
  input: z.strictObject({
    limit: z.int().min(1).max(500).default(200).describe("Customers a page."),
    offset: z.int().min(0).max(1_000_000).default(0).describe("How many to leave out, to see further pages."),
  }),
  output: z.object({
    customers: z.array(z.object({ name: z.string(), email: z.string(), company: z.string() })),
    total: z.int().describe("How many customers there are in all."),
  }),
  requires: "customers:read",
  annotations: { readOnlyHint: true, openWorldHint: false },

  async run({ limit, offset }, ctx) {
    // THERE IS NO WHERE CLAUSE HERE, ON PURPOSE. The table holds every tenant's customers, and this asks for all of
    // them: the mistake that leaks one company's customers to another wherever isolation is a filter that each query
    // has to remember. Here it is no mistake. The statement runs as a role that row-level security binds, on a
    // connection that has entered the caller's tenant, so the table has only that tenant's rows to give, and the
    // count counts only those. Connect as acme and as globex and compare.
    const customers = await ctx.sql<{ name: string; email: string; company: string }>`
      SELECT name, email, company FROM customers ORDER BY name, email LIMIT ${limit} OFFSET ${offset}`;
    const [counted] = await ctx.sql<{ total: number }>`SELECT count(*)::integer AS total FROM customers`;
    const total = counted?.total ?? 0;

    const lines = customers.map(({ name, email, company }) => `${name} <${email}>, ${company}`);
    lines.unshift(
      `${customers.length} of ${total} customers${offset === 0 ? "" : `, after the first ${offset}`}:`,
    );
    return { content: [{ type: "text", text: lines.join("\n") }], structuredContent: { customers, total } };
  },
});
