import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { connectAiSdk } from "./ai-sdk.ts";
import { connectV1 } from "./official-v1.ts";
import { connectV2 } from "./official-v2.ts";
import { type ClientSetting, openClientSetting } from "./setting.ts";
import type { ShownClient, Target } from "./shown-client.ts";

interface Kind {
  readonly name: string;
  /** Whether it shows progress, messages and changes, and can cancel. */
  readonly tells: boolean;
  readonly connect: (target: Target) => Promise<ShownClient>;
}

const KINDS: readonly Kind[] = [
  {
    name: "@modelcontextprotocol/client, legacy",
    tells: true,
    connect: (target) => connectV2("legacy", target),
  },
  { name: "@modelcontextprotocol/client, auto", tells: true, connect: (target) => connectV2("auto", target) },
  {
    name: "@modelcontextprotocol/client, pinned",
    tells: true,
    connect: (target) => connectV2("pinned", target),
  },
  { name: "@modelcontextprotocol/sdk", tells: true, connect: connectV1 },
  { name: "@ai-sdk/mcp", tells: false, connect: connectAiSdk },
];

const SHOWN = (["http", "stdio"] as const).flatMap((over) => KINDS.map((kind) => ({ ...kind, over })));

let setting: ClientSetting;
let clients: ShownClient[] = [];
beforeAll(async () => {
  setting = await openClientSetting();
  const connectAll = (over: "http" | "stdio"): Promise<ShownClient[]> =>
    Promise.all(KINDS.map(({ connect }) => connect(setting.targets[over])));
  clients = await connectAll("http");
  // Together, since a process takes its time to start.
  clients.push(...(await connectAll("stdio")));
});
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await setting?.close();
});

describe.each(SHOWN.map((shown, index) => ({ ...shown, index })))("$name over $over", ({ index }) => {
  let client: ShownClient;
  beforeAll(() => {
    const connected = clients[index];
    if (connected === undefined) throw new TypeError("It is not connected.");
    client = connected;
  });

  test("lists tools, calls one, and has its structured content", async () => {
    expect(await client.tools()).toEqual(
      expect.arrayContaining(["greet", "say_no", "write", "report", "ask", "wait", "change"]),
    );
    const called = await client.call("greet", { name: "you" });
    expect(called).toMatchObject({
      structured: { greeting: "Hello, you!", tenant: "acme", subject: "ada" },
      isError: false,
    });
  });

  test("has a tool's error as a result, and reads, prompts and completes", async () => {
    expect(await client.call("say_no")).toEqual({
      text: "There is no such thing.",
      structured: undefined,
      isError: true,
    });
    expect(await client.read("thing://status")).toBe("All is well at acme.");
    expect(JSON.parse(await client.read("thing://red"))).toEqual({ colour: "red" });
    expect(await client.prompt("describe", { colour: "red" })).toBe("Describe the red thing.");
    expect(await client.complete("describe", { name: "colour", value: "gre" })).toEqual(["green", "grey"]);
    await expect(client.read("nothing://there")).rejects.toThrow(/resource/i);
  });

  test("answers a form that a handler asks it to have filled in", async () => {
    expect((await client.call("ask")).text).toBe("Hello, Ada!");
  });
});

describe.each(SHOWN.map((shown, index) => ({ ...shown, index })).filter(({ tells }) => tells))(
  "$name over $over",
  ({ over, index }) => {
    let client: ShownClient;
    beforeAll(() => {
      const connected = clients[index];
      if (connected === undefined) throw new TypeError("It is not connected.");
      client = connected;
    });

    test("is told of progress, messages, and changes of the tools", async () => {
      const progress: number[] = [];
      const { text } = await client.call("report", {}, { onProgress: (at) => progress.push(at) });
      expect(text).toBe("done");
      expect(progress).toEqual([1, 2, 3]);
      expect(client.messages).toContain("half way");
      // Its stream may be opening still: then the change is announced again.
      await vi.waitFor(
        async () => {
          await client.call("change");
          expect(client.changes()).toBeGreaterThan(0);
        },
        { timeout: 5_000, interval: 100 },
      );
    });

    test("cancels a call, and the handler hears of it", async () => {
      const before = setting.log(over).split("stopped waiting").length;
      const cancelling = new AbortController();
      const call = client.call(
        "wait",
        {},
        { signal: cancelling.signal, onProgress: () => cancelling.abort(new Error("not needed")) },
      );
      await expect(call).rejects.toThrow();
      await vi.waitFor(
        () => expect(setting.log(over).split("stopped waiting").length).toBeGreaterThan(before),
        { timeout: 5_000 },
      );
    });
  },
);
