import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../support/running-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

async function withClient<R>(url: string, token: string, work: (client: Client) => Promise<R>): Promise<R> {
  const client = new Client(
    { name: "bulkhead-test", version: "1.0.0" },
    { versionNegotiation: { mode: { pin: "2026-07-28" } } },
  );
  await client.connect(
    new StreamableHTTPClientTransport(new URL(url), {
      requestInit: { headers: { authorization: `Bearer ${token}` } },
    }),
  );
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

const EVERYBODY = [
  "search_tickets",
  "get_ticket",
  "open_ticket",
  "comment_on_ticket",
  "assign_ticket",
  "close_ticket",
  "list_my_customers",
];

describe.each([
  {
    slug: "acme",
    tools: [...EVERYBODY, "ticket_report", "escalate_to_account_manager"],
  },
  { slug: "globex", tools: EVERYBODY },
] as const)("the official client as $slug", ({ slug, tools }) => {
  describe.each(["its own URL", "the shared URL"])("on %s", (where) => {
    const access = () => {
      const tenant = server[slug];
      return where === "its own URL"
        ? { url: tenant.mcp, token: tenant.token }
        : { url: server.shared, token: tenant.sharedToken };
    };

    test("lists the tools, resources and prompts of this tenant", async () => {
      const { url, token } = access();
      await withClient(url, token, async (client) => {
        expect((await client.listTools()).tools.map((tool) => tool.name)).toEqual(tools);
        expect((await client.listResources()).resources.map((resource) => resource.uri)).toEqual([
          "helpdesk://guide",
        ]);
        expect(
          (await client.listResourceTemplates()).resourceTemplates.map((template) => template.uriTemplate),
        ).toEqual(["helpdesk://tickets/{number}"]);
        expect((await client.listPrompts()).prompts.map((prompt) => prompt.name)).toEqual(["draft_reply"]);
      });
    });

    test("calls, reads and prompts, and sees this tenant's data", async () => {
      const { url, token } = access();
      await withClient(url, token, async (client) => {
        const found = await client.callTool({ name: "search_tickets", arguments: { limit: 3 } });
        expect(found.isError).not.toBe(true);
        const newest = await server.database.admin<{ number: number; subject: string; email: string }>(
          "SELECT t.number, t.subject, c.email FROM app.tickets t JOIN app.customers c ON (c.tenant_id, c.id) = (t.tenant_id, t.customer_id) WHERE t.tenant_id = $1 ORDER BY t.number DESC LIMIT 3",
          [server[slug].id],
        );
        expect(found.structuredContent).toMatchObject({
          tickets: newest.map(({ number, subject, email }) => ({ number, subject, customer: { email } })),
          nextCursor: String(newest[2]?.number),
        });
        const [text] = found.content as { text: string }[];
        const lines = newest.map(({ number, subject }) => [`#${number} [`, `] ${subject} (`]);
        for (const part of lines.flat()) expect(text?.text).toContain(part);
        const read = await client.readResource({ uri: "helpdesk://tickets/1001" });
        const [content] = read.contents;
        const ticket = JSON.parse(content !== undefined && "text" in content ? content.text : "null");
        expect(ticket.number).toBe(1001);
        const [stored] = await server.database.admin<{ subject: string }>(
          "SELECT subject FROM app.tickets WHERE tenant_id = $1 AND number = 1001",
          [server[slug].id],
        );
        expect(ticket.subject).toBe(stored?.subject);
        const prompt = await client.getPrompt({ name: "draft_reply", arguments: { ticket: "1001" } });
        expect(JSON.stringify(prompt.messages)).toContain(ticket.subject);
      });
    });
  });
});

test("the same ticket number is another ticket for another tenant", async () => {
  const subjects = await Promise.all(
    [server.acme, server.globex].map((tenant) =>
      withClient(tenant.mcp, tenant.token, async (client) => {
        const [content] = (await client.readResource({ uri: "helpdesk://tickets/1001" })).contents;
        return JSON.parse(content !== undefined && "text" in content ? content.text : "null")
          .subject as string;
      }),
    ),
  );
  expect(new Set(subjects).size).toBe(2);
});

test("the tool for acme alone is unknown to globex, in the words of a tool that does not exist", async () => {
  await withClient(server.globex.mcp, server.globex.token, async (client) => {
    const error = async (name: string) =>
      client.callTool({ name, arguments: {} }).then(
        () => null,
        (reason: { code?: number; message?: string; data?: unknown }) => ({
          code: reason.code,
          message: reason.message,
          data: reason.data,
        }),
      );
    const forbidden = await error("escalate_to_account_manager");
    expect(forbidden).toMatchObject({ code: -32602 });
    expect(forbidden).toEqual(await error("no_such_tool_at_all"));
  });
});

test("the tool without WHERE gives each tenant its own customers and no other's", async () => {
  const emails = async (tenant: "acme" | "globex"): Promise<string[]> =>
    (
      await server.database.admin<{ email: string }>(
        "SELECT email FROM app.customers WHERE tenant_id = $1 ORDER BY email",
        [server[tenant].id],
      )
    ).map((row) => row.email);
  const [ofAcme, ofGlobex] = [await emails("acme"), await emails("globex")];
  expect(ofAcme.length).toBeGreaterThan(3);
  expect(ofGlobex.length).toBeGreaterThan(3);
  for (const [tenant, own, others] of [
    ["acme", ofAcme, ofGlobex],
    ["globex", ofGlobex, ofAcme],
  ] as const) {
    const text = await withClient(server[tenant].mcp, server[tenant].token, async (client) =>
      JSON.stringify(await client.callTool({ name: "list_my_customers", arguments: {} })),
    );
    for (const email of own) expect(text).toContain(email);
    for (const email of others) expect(text).not.toContain(email);
  }
});
