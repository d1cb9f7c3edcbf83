import { McpServer, ResourceTemplate } from "@modelcontextprotocol/sdk/server/mcp.js";
/** A server as it is written for the official SDK's first generation. Nothing in it knows of tenants, but for one import. */
import { currentTenant } from "bulkhead-mcp";
import { z } from "zod";

export function buildServer(): McpServer {
  const server = new McpServer(
    { name: "notes", version: "1.4.0" },
    { capabilities: { logging: {} }, instructions: "Keep notes short." },
  );
  let calls = 0;

  server.registerTool(
    "add-note",
    {
      title: "Add a note",
      description: "Keeps a note.",
      inputSchema: { name: z.string().min(1), text: z.string() },
    },
    async ({ name, text }) => {
      await currentTenant().store.put(`note/${name}`, text);
      return { content: [{ type: "text", text: `Kept ${name}.` }], _meta: { "example.com/calls": ++calls } };
    },
  );

  server.registerTool(
    "count-notes",
    {
      description: "How many notes there are.",
      inputSchema: {},
      outputSchema: { notes: z.number(), callsOfThisServer: z.number() },
      annotations: { readOnlyHint: true },
    },
    async () => {
      const notes = await currentTenant().store.list("note/");
      const structuredContent = { notes: notes.length, callsOfThisServer: ++calls };
      return { content: [{ type: "text", text: JSON.stringify(structuredContent) }], structuredContent };
    },
  );

  server.registerTool(
    "delete-note",
    { description: "Deletes a note, after its owner has agreed.", inputSchema: { name: z.string() } },
    async ({ name }) => {
      const answer = await server.server.elicitInput({
        message: `Delete ${name}?`,
        requestedSchema: {
          type: "object",
          properties: { sure: { type: "boolean", title: "Delete it" } },
          required: ["sure"],
        },
      });
      if (answer.action !== "accept" || answer.content?.sure !== true)
        return { content: [{ type: "text", text: `${name} stays.` }] };
      const found = await currentTenant().store.delete(`note/${name}`);
      return { content: [{ type: "text", text: found ? `${name} is gone.` : `There was no ${name}.` }] };
    },
  );

  server.registerTool(
    "export-notes",
    { description: "Reads all notes, one after the other.", inputSchema: {} },
    async (_args, extra) => {
      const { store } = currentTenant();
      const keys = await store.list("note/");
      const progressToken = extra._meta?.progressToken;
      let progress = 0;
      const texts: string[] = [];
      for (const key of keys) {
        texts.push(`${key.slice(5)}: ${await store.get<string>(key)}`);
        await server.server.sendLoggingMessage({ level: "info", data: `Read ${key}` });
        if (progressToken !== undefined)
          await extra.sendNotification({
            method: "notifications/progress",
            params: { progressToken, progress: ++progress, total: keys.length },
          });
      }
      return { content: [{ type: "text", text: texts.join("\n") }] };
    },
  );

  server.registerResource(
    "note",
    new ResourceTemplate("notes://{name}", { list: undefined }),
    { title: "A note", mimeType: "text/plain" },
    async (uri, { name }) => {
      const text = await currentTenant().store.get<string>(`note/${String(name)}`);
      return { contents: [{ uri: uri.href, mimeType: "text/plain", text: text ?? "" }] };
    },
  );

  server.registerPrompt(
    "summarise",
    { description: "Sums a note up.", argsSchema: { name: z.string() } },
    async ({ name }) => ({
      messages: [{ role: "user", content: { type: "text", text: `Sum up notes://${name}` } }],
    }),
  );

  return server;
}
