import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import {
  CLIENT,
  calledOf,
  FILLED_IN,
  promptText,
  type ShownClient,
  type Target,
  textOf,
} from "./shown-client.ts";

export type Mode = "legacy" | "auto" | "pinned";

/** `@modelcontextprotocol/client`, in one of its modes of negotiation. */
export async function connectV2(mode: Mode, target: Target): Promise<ShownClient> {
  let changes = 0;
  const messages: unknown[] = [];
  const client = new Client(CLIENT, {
    capabilities: { elicitation: {} },
    versionNegotiation: { mode: mode === "pinned" ? { pin: "2026-07-28" } : mode },
    listChanged: { tools: { autoRefresh: false, debounceMs: 0, onChanged: () => void changes++ } },
  });
  client.setRequestHandler("elicitation/create", () => FILLED_IN);
  client.setNotificationHandler("notifications/message", ({ params }) => void messages.push(params.data));
  await client.connect(transportTo(target));
  // On the current revision each request says which messages it wants.
  const _meta = { "io.modelcontextprotocol/logLevel": "info" };
  return {
    messages,
    changes: () => changes,
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: async (name, args = {}, { onProgress, signal } = {}) =>
      calledOf(
        await client.callTool(
          { name, arguments: args, ...(mode === "legacy" ? {} : { _meta }) },
          {
            ...(onProgress === undefined ? {} : { onprogress: ({ progress }) => onProgress(progress) }),
            ...(signal === undefined ? {} : { signal }),
          },
        ),
      ),
    read: async (uri) => textOf((await client.readResource({ uri })).contents),
    prompt: async (name, args) => promptText((await client.getPrompt({ name, arguments: args })).messages),
    complete: async (name, argument) =>
      (await client.complete({ ref: { type: "ref/prompt", name }, argument })).completion.values,
    close: () => client.close(),
  };
}

function transportTo(target: Target): StreamableHTTPClientTransport | StdioClientTransport {
  if (target.kind === "http") {
    return new StreamableHTTPClientTransport(new URL(target.url), {
      requestInit: { headers: { authorization: `Bearer ${target.token}` } },
    });
  }
  const { onError, ...command } = target.command;
  const transport = new StdioClientTransport({ ...command, stderr: "pipe" });
  transport.stderr?.on("data", (chunk) => onError(String(chunk)));
  return transport;
}
