import { randomBytes } from "node:crypto";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { CallerError } from "../../../src/catalog/define.ts";
import type { RunControl } from "../../../src/protocol/conversation.ts";
import { type ClientAnswers, createClientAnswers } from "../../../src/protocol/earlier/client-answers.ts";
import { LiveConversation } from "../../../src/protocol/earlier/live-conversation.ts";
import { AskedInVain } from "../../../src/protocol/request-link.ts";
import { earlierSession } from "../../support/earlier-session-of.ts";

const session = earlierSession();
const roots = { method: "roots/list", params: {} } as const;
const anything = (): boolean => true;
let answers: ClientAnswers;
let said: { id: string; method: string; params: unknown }[];
let waiting: number;
let conversation: LiveConversation;

const run: RunControl = {
  suspend: () => {
    throw new TypeError("A conversation that is alive ends no run.");
  },
  async waiting(answer) {
    waiting++;
    try {
      return await answer;
    } finally {
      waiting--;
    }
  },
};
const converse = (options: { hears?: boolean; answerMs?: number } = {}): LiveConversation =>
  new LiveConversation(run, {
    session,
    answers,
    line: {
      say(message) {
        said.push(JSON.parse(message));
        return options.hears ?? true;
      },
    },
    ...(options.answerMs === undefined ? {} : { answerMs: options.answerMs }),
  });
const lastId = (): string => said.at(-1)?.id ?? "";

beforeEach(() => {
  answers = createClientAnswers(randomBytes);
  said = [];
  waiting = 0;
  conversation = converse();
});

describe("a question", () => {
  test("is a request to the client, under an id that no other instance gives, and its answer is the client's result", async () => {
    const asked = conversation.ask("r", roots, anything);
    expect(said).toEqual([{ jsonrpc: "2.0", id: expect.stringMatching(/^ask_[\w-]{16}$/), ...roots }]);
    expect(waiting).toBe(1);
    expect(answers.take(session, lastId(), { result: { roots: [] }, error: null })).toBe(true);
    expect(await asked).toEqual({ roots: [] });
    expect(waiting).toBe(0);
  });

  test("takes no answer of another session or tenant, nor a second one", async () => {
    const asked = conversation.ask("r", roots, anything);
    const result = { result: { roots: ["forged"] }, error: null };
    expect(answers.take(earlierSession({ tenantId: session.tenantId }), lastId(), result)).toBe(false);
    expect(answers.take(earlierSession({ id: session.id }), lastId(), result)).toBe(false);
    expect(answers.take(session, "ask_0000000000000000", result)).toBe(false);
    expect(answers.take(session, 1, result)).toBe(false);
    expect(answers.take(session, lastId(), { result: { roots: [] }, error: null })).toBe(true);
    expect(answers.take(session, lastId(), result)).toBe(false);
    expect(await asked).toEqual({ roots: [] });
  });

  test("is put once more where the answer does not fit, and then rejects", async () => {
    const asked = conversation.ask("r", roots, (result) => result.fits === true);
    const outcome = expect(asked).rejects.toThrow(
      new CallerError("The client's answer is not one to what it was asked."),
    );
    const first = lastId();
    answers.take(session, first, { result: { fits: "almost" }, error: null });
    await vi.waitFor(() => expect(said).toHaveLength(2));
    expect(lastId()).not.toBe(first);
    answers.take(session, lastId(), { result: {}, error: null });
    await outcome;
    expect(said).toHaveLength(2);
  });

  test("may be answered rightly the second time", async () => {
    const asked = conversation.ask("r", roots, (result) => result.fits === true);
    answers.take(session, lastId(), { result: {}, error: null });
    await vi.waitFor(() => expect(said).toHaveLength(2));
    answers.take(session, lastId(), { result: { fits: true }, error: null });
    expect(await asked).toEqual({ fits: true });
  });

  test("rejects with the client's error, whose text the handler's caller may see", async () => {
    const asked = conversation.ask("r", roots, anything);
    answers.take(session, lastId(), { result: null, error: { code: -1, message: "No user is here." } });
    await expect(asked).rejects.toThrow(
      new CallerError("The client answered with an error: No user is here."),
    );
  });

  test.each([{}, { message: 7 }, { message: "" }])("survives an error like %j", async (error) => {
    const asked = conversation.ask("r", roots, anything);
    answers.take(session, lastId(), { result: null, error });
    await expect(asked).rejects.toThrow("The client answered with an error: no reason given");
  });

  test("rejects at once where nobody can hear it", async () => {
    await expect(converse({ hears: false }).ask("r", roots, anything)).rejects.toThrow(
      new CallerError("The client takes no questions: it reads no stream."),
    );
    expect(answers.take(session, lastId(), { result: {}, error: null })).toBe(false);
  });

  test("is withdrawn when its time is over", async () => {
    await expect(converse({ answerMs: 5 }).ask("r", roots, anything)).rejects.toThrow(
      new CallerError("The client did not answer in time."),
    );
    const [question, withdrawn] = said;
    expect(withdrawn).toEqual({
      jsonrpc: "2.0",
      method: "notifications/cancelled",
      params: { requestId: question?.id, reason: "The answer took too long." },
    });
    expect(answers.take(session, question?.id ?? "", { result: {}, error: null })).toBe(false);
  });

  test("rejects when the call is over, and so does every later one", async () => {
    const asked = conversation.ask("r", roots, anything);
    conversation.close();
    await expect(asked).rejects.toBeInstanceOf(AskedInVain);
    expect(answers.take(session, lastId(), { result: {}, error: null })).toBe(false);
    await expect(conversation.ask("s", roots, anything)).rejects.toBeInstanceOf(AskedInVain);
    expect(said).toHaveLength(1);
  });
});

describe("a step", () => {
  test("runs once in a call, also where two ask for it at the same time", async () => {
    const step = vi.fn(async () => ({ paid: 1 }));
    const both = await Promise.all([conversation.step("pay", step), conversation.step("pay", step)]);
    expect(both).toEqual([{ paid: 1 }, { paid: 1 }]);
    expect(await conversation.step("pay", step)).toEqual({ paid: 1 });
    expect(step).toHaveBeenCalledTimes(1);
  });

  test("runs again where it failed", async () => {
    await expect(conversation.step("pay", () => Promise.reject(new TypeError("declined")))).rejects.toThrow(
      "declined",
    );
    expect(await conversation.step("pay", () => "paid")).toBe("paid");
  });
});
