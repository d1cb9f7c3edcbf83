import { createMCPClient, ElicitationRequestSchema } from "@ai-sdk/mcp";
import { Experimental_StdioMCPTransport as StdioTransport } from "@ai-sdk/mcp/mcp-stdio";
import {
  CLIENT,
  calledOf,
  FILLED_IN,
  promptText,
  type ShownClient,
  type Target,
  textOf,
} from "./shown-client.ts";

/** `@ai-sdk/mcp`: not built on the official SDK. It shows neither progress nor messages nor changes, and cannot cancel. */
export async function connectAiSdk(target: Target): Promise<ShownClient> {
  const client = await createMCPClient({
    transport: transportTo(target),
    clientName: CLIENT.name,
    version: CLIENT.version,
    capabilities: { elicitation: {} },
  });
  client.onElicitationRequest(ElicitationRequestSchema, () => FILLED_IN);
  return {
    messages: [],
    changes: () => 0,
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    async call(name, args = {}) {
      const tool = (await client.tools())[name];
      if (tool === undefined) throw new Error(`There is no tool ${name}.`);
      const result = await tool.execute(args, { toolCallId: "1", messages: [] });
      return calledOf(result as Record<string, unknown>);
    },
    read: async (uri) => textOf((await client.readResource({ uri })).contents),
    prompt: async (name, args) =>
      promptText((await client.experimental_getPrompt({ name, arguments: args })).messages),
    complete: async (name, argument) =>
      (await client.complete({ ref: { type: "ref/prompt", name }, argument })).completion.values,
    close: () => client.close(),
  };
}

function transportTo(target: Target) {
  if (target.kind === "http") {
    const headers = { authorization: `Bearer ${target.token}` };
    return { type: "http" as const, url: target.url, headers };
  }
  const { onError: _onError, ...command } = target.command;
  return new StdioTransport({ ...command, stderr: "ignore" });
}
