import { describe, expect, test } from "vitest";
import { defineServer } from "../../../src/catalog/define.ts";
import { checkEarlierRequest } from "../../../src/protocol/earlier/earlier-request.ts";
import { eventId, newStreamId, parseEventId } from "../../../src/protocol/earlier/event-id.ts";
import { initialized, readInitialize } from "../../../src/protocol/earlier/initialize.ts";
import { readSessionHeaders } from "../../../src/protocol/earlier/session-headers.ts";
import { earlierSession } from "../../support/earlier-session-of.ts";

const server = defineServer({
  name: "shop",
  title: "The shop",
  version: "1.2.3",
  icons: [{ src: "https://shop.example/icon.png" }],
  websiteUrl: "https://shop.example",
  instructions: "Buy something.",
});
const resultIn = (revision: "2025-11-25" | "2025-06-18" | "2025-03-26") =>
  JSON.parse(`{${initialized(revision, { server, capabilities: { logging: {} } }).members}}`);

describe("initialize", () => {
  const params = { capabilities: { roots: {} }, clientInfo: { name: "editor", version: "7" } };

  test.each(["2025-11-25", "2025-06-18", "2025-03-26"])(
    "settles on %s with a client that speaks it",
    (version) => {
      expect(readInitialize({ ...params, protocolVersion: version })).toEqual({
        revision: version,
        client: { name: "editor", version: "7", capabilities: { roots: {} } },
      });
    },
  );

  test.each(["2024-11-05", "2026-07-28", "2099-01-01", "", "__proto__"])(
    "offers its newest to a client that asks for %j",
    (version) => {
      expect(readInitialize({ ...params, protocolVersion: version })).toMatchObject({
        revision: "2025-11-25",
      });
    },
  );

  test.each([
    ["no parameters", undefined],
    ["a version that is no text", { ...params, protocolVersion: 20251125 }],
    ["no capabilities", { protocolVersion: "2025-11-25" }],
    ["capabilities that are a list", { protocolVersion: "2025-11-25", capabilities: [] }],
  ])("is refused with %s", (_what, given) => {
    expect(readInitialize(given)).toMatchObject({ kind: "refusal", code: "params_invalid" });
  });

  test("describes the server in the words of each revision", () => {
    const common = { capabilities: { logging: {} }, instructions: "Buy something." };
    expect(resultIn("2025-11-25")).toEqual({
      ...common,
      protocolVersion: "2025-11-25",
      serverInfo: {
        name: "shop",
        title: "The shop",
        version: "1.2.3",
        icons: [{ src: "https://shop.example/icon.png" }],
        websiteUrl: "https://shop.example",
      },
    });
    expect(resultIn("2025-06-18")).toEqual({
      ...common,
      protocolVersion: "2025-06-18",
      serverInfo: { name: "shop", title: "The shop", version: "1.2.3" },
    });
    expect(resultIn("2025-03-26")).toEqual({
      ...common,
      protocolVersion: "2025-03-26",
      serverInfo: { name: "shop", version: "1.2.3" },
    });
  });
});

describe("a request of a session", () => {
  const message = { kind: "message", id: 7, method: "tools/call", params: { name: "sell" } } as const;

  test("has its session's client, revision and log level, and its own progress token and trace", () => {
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const params = { name: "sell", _meta: { progressToken: "t", traceparent } };
    const session = earlierSession({ logLevel: "error" });
    expect(checkEarlierRequest({ ...message, params }, session)).toMatchObject({
      id: 7,
      method: "tools/call",
      name: "sell",
      revision: "2025-11-25",
      client: session.client,
      logLevel: "error",
      progressToken: "t",
      trace: { traceparent },
      headers: null,
      session,
    });
  });

  test("gets messages from info on where the client has not said", () => {
    expect(checkEarlierRequest(message, earlierSession())).toMatchObject({ logLevel: "info" });
  });

  test("may have a _meta that is no object: as if it had none", () => {
    const params = { name: "sell", _meta: ["progressToken"] };
    expect(checkEarlierRequest({ ...message, params }, earlierSession())).toMatchObject({
      progressToken: null,
    });
  });

  test.each([
    "server/discover",
    "subscriptions/listen",
    "tasks/get",
    "tasks/update",
    "tasks/cancel",
    "tasks/result",
    "toString",
    "__proto__",
  ])("is unknown where it is %s", (method) => {
    expect(checkEarlierRequest({ ...message, method }, earlierSession())).toMatchObject({
      code: "method_unknown",
    });
  });

  test("is never a second initialize", () => {
    expect(checkEarlierRequest({ ...message, method: "initialize" }, earlierSession())).toMatchObject({
      code: "message_invalid",
    });
  });

  test("names what it is for", () => {
    expect(checkEarlierRequest({ ...message, params: {} }, earlierSession())).toMatchObject({
      code: "params_invalid",
    });
  });
});

describe("the headers of a session", () => {
  test.each([undefined, "2025-11-25", "2025-06-18", "2025-03-26"])("may say %s of the version", (version) => {
    const headers = version === undefined ? {} : { "mcp-protocol-version": version };
    expect(readSessionHeaders({ ...headers, "mcp-session-id": "ses_1" })).toBe("ses_1");
  });

  test.each(["2024-11-05", "2026-07-28", "", "2025-11-25, 2025-11-25"])(
    "are refused with the version %j",
    (version) => {
      expect(
        readSessionHeaders({ "mcp-protocol-version": version, "mcp-session-id": "ses_1" }),
      ).toMatchObject({
        code: "version_unsupported",
        data: { supported: ["2025-11-25", "2025-06-18", "2025-03-26"], requested: version },
      });
    },
  );

  test("are refused without a session", () => {
    expect(readSessionHeaders({ "mcp-protocol-version": "2025-11-25" })).toMatchObject({
      code: "session_missing",
    });
  });
});

describe("the id of an event", () => {
  test("says on which stream it is, and where", () => {
    const streamId = newStreamId((bytes) => new Uint8Array(bytes).fill(255));
    expect(eventId(streamId, 12)).toBe("post_________________.12");
    expect(parseEventId("post_________________.12")).toEqual({ streamId, seq: 12 });
  });

  test.each([
    "",
    "post_________________",
    "post_________________.",
    "post_________________.-1",
    "post_________________.01",
    "post_________________.1e3",
    "post_________________.9999999999",
    "post_________________.1\n",
    "post_________________.1.1",
    "post_________________%.1",
    "own_________________.1",
  ])("is nothing else: %j", (text) => {
    expect(parseEventId(text)).toBeNull();
  });
});
