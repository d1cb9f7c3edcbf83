import { describe, expect, it } from "vitest";
import { createIdSource } from "../../src/core/ids.ts";
import { parseSignal, type Signal, type SignalPayloads, type SignalTopic } from "../../src/core/signal.ts";

const ids = createIdSource(() => 1_800_000_000_000);
const tenantId = ids.tenant();
const sessionId = ids.session();

/** One of each topic: the compiler asks for a new one here. */
const SAMPLES: { readonly [T in SignalTopic]: SignalPayloads[T] } = {
  list_changed: { list: "prompts" },
  resource_updated: { uri: "notes://1" },
  session_ended: { sessionId },
  session_changed: { sessionId },
  stream_opened: { sessionId, streamId: "s" },
  stream_resumed: { sessionId, streamId: "s" },
  stream_written: { sessionId, streamId: "s", seq: 3 },
  client_answer: { sessionId, requestId: "r", message: { result: { text: "\u0000\ud800" } } },
  client_cancelled: { sessionId, requestId: 7 },
  task_changed: { taskId: ids.task() },
  call_resumed: {
    callId: "c",
    principal: "p",
    rights: { permissions: ["a:b"], roles: [], expiresAt: 9 },
    responses: { a: 1 },
  },
  call_answered: { callId: "c", round: 2, text: "t" },
};

const parse = (topic: string, payload: unknown): Signal | null =>
  parseSignal({ tenantId, topic, payload: JSON.stringify(payload) });

describe("a signal that was written", () => {
  for (const [topic, payload] of Object.entries(SAMPLES)) {
    it(`of topic ${topic} is read as it was`, () => {
      expect(parse(topic, payload)).toEqual({ tenantId, topic, payload });
    });

    it(`of topic ${topic} counts for nothing without one of its members, or with another type`, () => {
      for (const name of Object.keys(payload)) {
        expect(parse(topic, { ...payload, [name]: undefined })).toBeNull();
        expect(parse(topic, { ...payload, [name]: true })).toBeNull();
      }
    });
  }

  it("counts for nothing where its topic is a later version's, or its text is no object", () => {
    expect(parse("moon_risen", { uri: "x" })).toBeNull();
    expect(parse("list_changed", ["tools"])).toBeNull();
    expect(parse("list_changed", { list: "moons" })).toBeNull();
    expect(parse("session_ended", { sessionId: "ses_x" })).toBeNull();
    const { call_resumed: resumed } = SAMPLES;
    for (const wrong of [{ permissions: [1] }, { roles: "all" }, { expiresAt: null }])
      expect(parse("call_resumed", { ...resumed, rights: { ...resumed.rights, ...wrong } })).toBeNull();
    expect(parseSignal({ tenantId, topic: "list_changed", payload: "{" })).toBeNull();
  });
});
