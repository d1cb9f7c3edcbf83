import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../../support/running-server.ts";
import { createAskingServer } from "./asking-server.ts";

const asking = createAskingServer();
let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ server: asking.server });
});
afterAll(() => server.close());
beforeEach(() => void asking.done.splice(0));

type Mode = "legacy" | { readonly pin: "2026-07-28" };

/** The official client, whose user agrees to everything. */
async function connected(mode: Mode, capable: boolean): Promise<{ client: Client; asked: string[] }> {
  const asked: string[] = [];
  const client = new Client(
    { name: "bulkhead-test", version: "1.0.0" },
    {
      capabilities: capable ? { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} } : {},
      versionNegotiation: { mode },
    },
  );
  if (capable) {
    client.setRequestHandler("elicitation/create", ({ params }) => {
      asked.push(params.message);
      return { action: "accept", content: params.mode === "url" ? undefined : { yes: true, name: "Ada" } };
    });
    client.setRequestHandler("sampling/createMessage", () => {
      asked.push("sampling");
      return { role: "assistant", content: { type: "text", text: "Paris" }, model: "a-model" };
    });
    client.setRequestHandler("roots/list", () => {
      asked.push("roots");
      return { roots: [{ uri: "file:///a" }] };
    });
  }
  await client.connect(
    new StreamableHTTPClientTransport(new URL(server.acme.mcp), {
      requestInit: { headers: { authorization: `Bearer ${server.acme.token}` } },
    }),
  );
  return { client, asked };
}

describe.each<[string, Mode]>([
  ["2026-07-28", { pin: "2026-07-28" }],
  ["the previous generation", "legacy"],
])("the official client on %s", (_name, mode) => {
  let client: Client;
  let asked: string[];
  beforeAll(async () => {
    ({ client, asked } = await connected(mode, true));
  });
  afterAll(() => client.close());
  beforeEach(() => void asked.splice(0));

  const text = async (name: string): Promise<unknown> => {
    const { content } = await client.callTool({ name, arguments: {} });
    return content;
  };

  test("completes a call that asks twice, and whose steps are taken once", async () => {
    expect(await text("buy")).toEqual([{ type: "text", text: "quote 1, reserve 2, charge 3" }]);
    expect(asked).toEqual(["Order for quote 1?", "Pay reserve 2?"]);
    expect(asking.done).toEqual(["quote", "reserve", "charge"]);
  });

  test("completes a call that asks user, model and client at once", async () => {
    expect(await text("ask_all")).toEqual([{ type: "text", text: "accept, a-model, 1" }]);
    expect(asked.sort()).toEqual(["What is your name?", "roots", "sampling"]);
  });

  test("is sent to an address", async () => {
    expect(await text("connect")).toEqual([{ type: "text", text: "accept" }]);
    expect(asked).toEqual(["Connect your account."]);
  });

  test("completes a prompt and a resource that ask", async () => {
    const { messages } = await client.getPrompt({ name: "greet" });
    expect(messages).toMatchObject([{ content: { text: "Greet Ada, and be kind." } }]);
    const { contents } = await client.readResource({ uri: "memo://7" });
    expect(contents).toMatchObject([{ text: "7 for Ada" }]);
  });

  test("that cannot be asked is told what it lacks", async () => {
    const unable = await connected(mode, false);
    try {
      await expect(unable.client.callTool({ name: "ask_model", arguments: {} })).rejects.toMatchObject({
        code: -32021,
        data: { requiredCapabilities: { sampling: {} } },
      });
    } finally {
      await unable.client.close();
    }
  });
});
