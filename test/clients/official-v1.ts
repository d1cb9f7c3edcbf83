import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import {
  ElicitRequestSchema,
  LoggingMessageNotificationSchema,
  ToolListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import {
  CLIENT,
  calledOf,
  FILLED_IN,
  promptText,
  type ShownClient,
  type Target,
  textOf,
} from "./shown-client.ts";

/** `@modelcontextprotocol/sdk`, version 1. */
export async function connectV1(target: Target): Promise<ShownClient> {
  let changes = 0;
  const messages: unknown[] = [];
  const client = new Client(CLIENT, { capabilities: { elicitation: {} } });
  client.setRequestHandler(ElicitRequestSchema, () => FILLED_IN);
  client.setNotificationHandler(
    LoggingMessageNotificationSchema,
    ({ params }) => void messages.push(params.data),
  );
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => void changes++);
  await client.connect(transportTo(target));
  return {
    messages,
    changes: () => changes,
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: async (name, args = {}, { onProgress, signal } = {}) =>
      calledOf(
        await client.callTool({ name, arguments: args }, undefined, {
          ...(onProgress === undefined ? {} : { onprogress: ({ progress }) => onProgress(progress) }),
          ...(signal === undefined ? {} : { signal }),
        }),
      ),
    read: async (uri) => textOf((await client.readResource({ uri })).contents),
    prompt: async (name, args) => promptText((await client.getPrompt({ name, arguments: args })).messages),
    complete: async (name, argument) =>
      (await client.complete({ ref: { type: "ref/prompt", name }, argument })).completion.values,
    async close() {
      if (client.transport instanceof StreamableHTTPClientTransport)
        await client.transport.terminateSession();
      await client.close();
    },
  };
}

function transportTo(target: Target): Transport {
  if (target.kind === "http") {
    // Its class says `string | undefined` where its interface says that the member may be absent.
    return new StreamableHTTPClientTransport(new URL(target.url), {
      requestInit: { headers: { authorization: `Bearer ${target.token}` } },
    }) as Transport;
  }
  const { onError, ...command } = target.command;
  const transport = new StdioClientTransport({ ...command, stderr: "pipe" });
  transport.stderr?.on("data", (chunk) => onError(String(chunk)));
  return transport;
}
