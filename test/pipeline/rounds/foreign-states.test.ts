import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { NOTHING_YET } from "../../../src/protocol/replay.ts";
import { createRequestStates, STATE_LIFE_MS } from "../../../src/protocol/request-state.ts";
import type { Principal } from "../../../src/tenancy/principal.ts";
import type { HttpAnswer } from "../../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../../support/running-server.ts";
import { ask, type Params, round, textOf } from "./ask.ts";
import { createAskingServer } from "./asking-server.ts";

const asking = createAskingServer();
let server: TestServer;
/** The first answer to `buy`, which has taken a step, and to `greet`. */
let bought: HttpAnswer;
let greeted: HttpAnswer;
const ADA = { name: { action: "accept", content: { name: "Ada" } } };
const HELLO = { name: "greet", arguments: { greeting: "Hello" } };

beforeAll(async () => {
  server = await startTestServer({ server: asking.server });
  bought = await acme("tools/call", { name: "buy", arguments: {} });
  greeted = await acme("tools/call", HELLO);
});
afterAll(() => server.close());
beforeEach(() => void asking.done.splice(0));

const acme = (method: string, params: Params): Promise<HttpAnswer> =>
  ask({ url: server.acme.mcp, token: server.acme.token }, method, params);

/** Refused before anything ran. */
function expectRefusal({ status, json }: HttpAnswer): void {
  expect(status).toBe(400);
  expect(json).toMatchObject({ id: 7, error: { code: -32602, data: { code: "request_state_invalid" } } });
  expect(asking.done).toEqual([]);
}

describe("a state is refused", () => {
  test("to another user of the tenant", async () => {
    const ben = { url: server.acme.mcp, token: server.token("acme", "ben") };
    expectRefusal(await ask(ben, "tools/call", { ...HELLO, ...round(greeted, ADA) }));
  });

  test("to a user of the same name whom another issuer knows", async () => {
    const shared = { url: server.shared, token: server.acme.sharedToken };
    expectRefusal(await ask(shared, "tools/call", { ...HELLO, ...round(greeted, ADA) }));
  });

  test("to another tenant", async () => {
    expectRefusal(
      await ask({ url: server.globex.mcp, token: server.globex.token }, "tools/call", {
        ...HELLO,
        ...round(greeted, ADA),
      }),
    );
  });

  test("for another tool", async () => {
    expectRefusal(await acme("tools/call", { ...HELLO, name: "greet_too", ...round(greeted, ADA) }));
  });

  test("for other arguments", async () => {
    expectRefusal(
      await acme("tools/call", { name: "greet", arguments: { greeting: "Bye" }, ...round(greeted, ADA) }),
    );
    expectRefusal(await acme("tools/call", { name: "greet", ...round(greeted, ADA) }));
  });

  test("for a prompt of the same name and arguments", async () => {
    const tool = await acme("tools/call", { name: "greet", arguments: {} });
    asking.done.splice(0);
    expectRefusal(await acme("prompts/get", { name: "greet", arguments: {}, ...round(tool, ADA) }));
  });

  test("for a resource instead of another", async () => {
    const memo = await acme("resources/read", { uri: "memo://7" });
    expectRefusal(await acme("resources/read", { uri: "memo://8", ...round(memo, ADA) }));
  });

  test.each<[string, (state: string) => string]>([
    ["with something added", (state) => `${state}-TAMPERED`],
    ["with its end cut off", (state) => state.slice(0, -4)],
    ["with its key changed", (state) => state.replace(/^1\.[^.]+/, "1.another")],
    ["of another form", (state) => state.replace(/^1/, "2")],
    ["that is empty", () => ""],
    ["that is too long", (state) => state + "A".repeat(400 * 1024)],
  ])("%s", async (_name, change) => {
    const requestState = change(bought.json.result.requestState);
    expectRefusal(await acme("tools/call", { name: "buy", arguments: {}, requestState }));
  });

  test.each([5, null, {}, ["x"]])("that is %j, as no text", async (requestState) => {
    const { status, json } = await acme("tools/call", { ...HELLO, requestState });
    expect(status).toBe(200);
    expect(json.error).toMatchObject({ code: -32602, data: { code: "params_invalid" } });
    expect(asking.done).toEqual([]);
  });
});

test("a state is good again for the same request, its arguments in any order, from the same caller", async () => {
  for (let use = 0; use < 2; use++)
    expect(textOf(await acme("tools/call", { ...HELLO, ...round(greeted, ADA) }))).toBe("Hello, Ada!");
});

describe("a state of another instance", () => {
  const id = "by-another";
  const key = randomBytes(32);
  let seal: (now: number, step: string) => Promise<string>;

  beforeAll(async () => {
    const { structuredContent } = (await acme("tools/call", { name: "whoami", arguments: {} })).json.result;
    const principal = structuredContent as Principal;
    seal = async (now, step) =>
      createRequestStates({
        keys: { sealing: () => ({ id, key }), find: () => null },
        clock: { now: () => now },
      }).seal(
        { ...NOTHING_YET, steps: { quote: JSON.stringify(step) } },
        { principal, request: { method: "tools/call", name: "buy", params: { arguments: {} } } },
      );
  });

  test("is good under a key that this instance has not read yet", async () => {
    const requestState = await seal(Date.now(), "a quote");
    await server.database.admin("INSERT INTO bulkhead.state_keys (id, key) VALUES ($1, $2)", [id, key]);
    // Keys are read again once a second at most, and were when this instance started.
    await expect
      .poll(async () => {
        const { json } = await acme("tools/call", { name: "buy", arguments: {}, requestState });
        return json.result?.inputRequests.order.params.message;
      })
      .toBe("Order for a quote?");
    expect(asking.done).toEqual([]);
  });

  test("is refused, unopened, when it is longer than any that is given out", async () => {
    const codeOf = async (size: number): Promise<unknown> => {
      const requestState = await seal(Date.now(), "x".repeat(size));
      return (await acme("tools/call", { name: "buy", arguments: {}, requestState })).json.error.data.code;
    };
    // In base64 these are less and more than 400 KB; what is opened has more than a state may have.
    expect(await codeOf(290 * 1024)).toBe("handler_failed");
    expect(await codeOf(310 * 1024)).toBe("request_state_invalid");
  });

  test("is refused when its time is over", async () => {
    const params = { name: "buy", arguments: {} };
    const late = await seal(Date.now() - STATE_LIFE_MS, "a quote");
    expectRefusal(await acme("tools/call", { ...params, requestState: late }));
    const inTime = await seal(Date.now() - STATE_LIFE_MS + 60_000, "a quote");
    expect((await acme("tools/call", { ...params, requestState: inTime })).json.result.resultType).toBe(
      "input_required",
    );
  });
});
