import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { defineServer, defineTool } from "../../src/catalog/define.ts";
import type { Clock } from "../../src/core/clock.ts";
import { type FakeIssuer, startFakeIssuer } from "../identity/fake-issuer.ts";
import { accessToken, makeSigningKey, type SigningKey } from "../support/access-token.ts";
import { callTool, type HttpAnswer, send } from "../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";

const MINUTE = 60_000;
const CALLERS = 32;
/** Times that the key changes in one test: as many searches as a registration may make at once. */
const ROTATIONS = 4;
/** Calls between two steps of a rotation. */
const CALLS_BETWEEN = 160;
/** How long the key endpoint takes, in milliseconds: what it answers is what was published when it was asked. */
const ENDPOINT_MS = 25;

const definition = defineServer({
  name: "shop",
  version: "1.0.0",
  tools: [
    defineTool({
      name: "answer",
      description: "Answers.",
      annotations: { readOnlyHint: true },
      run: () => "answered",
    }),
  ],
});

let passed = 0;
const clock: Clock = {
  now: () => Date.now() + passed,
  monotonic: () => performance.now() + passed,
};
let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ server: definition, settings: { clock } });
});
afterAll(() => server.close());

/** Lets time pass for the server, which then looks at its configuration again before it serves. */
async function pass(milliseconds: number): Promise<void> {
  passed += Math.ceil(milliseconds);
  await expect
    .poll(async () => (await send(`${server.url}/readyz`, { method: "GET" })).status, { interval: 10 })
    .toBe(200);
}

/** An issuer of acme, whose key endpoint tests hold. */
interface TestIssuer {
  readonly endpoint: FakeIssuer;
  key: SigningKey;
  /** Each time another token. */
  token(): string;
  publish(...keys: readonly SigningKey[]): void;
}

let keys = 0;
const newKey = (): SigningKey => makeSigningKey(`k${++keys}`);

async function withIssuer(work: (issuer: TestIssuer) => Promise<void>): Promise<void> {
  const endpoint = await startFakeIssuer();
  const issuer: TestIssuer = {
    endpoint,
    key: newKey(),
    token() {
      const { key } = issuer;
      const now = Math.floor(clock.now() / 1000);
      return accessToken({ issuer: endpoint.origin, audience: server.acme.mcp, key, now });
    },
    publish(...published) {
      const document = JSON.stringify({ keys: published.map((key) => key.published) });
      endpoint.answer = async (_req, res) => {
        await delay(ENDPOINT_MS);
        res.end(document);
      };
    },
  };
  try {
    const { status } = await server.admin("POST", "/tenants/acme/issuers", {
      issuer: endpoint.origin,
      jwksUri: `${endpoint.origin}/jwks`,
      tenantClaim: null,
    });
    expect(status).toBe(201);
    issuer.publish(issuer.key);
    await work(issuer);
  } finally {
    await endpoint.close();
  }
}

const call = (issuer: TestIssuer): Promise<HttpAnswer> => callTool(server.acme.mcp, issuer.token(), "answer");

/** Callers who go on calling, each with a fresh token each time. */
interface Load {
  readonly answered: () => number;
  /** What was not answered as it should be. */
  readonly failures: readonly string[];
  /** Resolves when so many more calls were answered. */
  more(calls: number): Promise<void>;
  /** Nobody calls while `work` runs; then all do at once. */
  pausedFor(work: () => void): Promise<void>;
  stop(): Promise<void>;
}

function startLoad(issuer: TestIssuer): Load {
  const failures: string[] = [];
  let answered = 0;
  let stopping = false;
  let underWay = 0;
  let gate: Promise<void> | null = null;
  let onAnswer: (() => void)[] = [];
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) await new Promise<void>((resolve) => onAnswer.push(resolve));
  };
  const caller = async (): Promise<void> => {
    while (!stopping) {
      if (gate !== null) await gate;
      underWay++;
      const answer = await call(issuer).catch((error: unknown) => String(error));
      underWay--;
      answered++;
      if (typeof answer === "string") failures.push(answer);
      else if (answer.json?.result?.content?.[0]?.text !== "answered")
        failures.push(`${answer.status} ${answer.text}`);
      const waiting = onAnswer;
      onAnswer = [];
      for (const told of waiting) told();
    }
  };
  const callers = Array.from({ length: CALLERS }, caller);
  return {
    answered: () => answered,
    failures,
    more(calls) {
      const wanted = answered + calls;
      return until(() => answered >= wanted);
    },
    async pausedFor(work) {
      let open = (): void => {};
      gate = new Promise((resolve) => {
        open = resolve;
      });
      await until(() => underWay === 0);
      work();
      gate = null;
      open();
    },
    async stop() {
      stopping = true;
      await Promise.all(callers);
    },
  };
}

describe(`while ${CALLERS} callers call without pause, each with a fresh token each time`, () => {
  test("no call fails when the issuer publishes a new key, signs with it, and drops the old one", async () => {
    await withIssuer(async (issuer) => {
      const load = startLoad(issuer);
      await load.more(CALLS_BETWEEN);
      for (let i = 0; i < ROTATIONS; i++) {
        const [old, next] = [issuer.key, newKey()];
        issuer.publish(old, next);
        await load.more(CALLS_BETWEEN);
        issuer.key = next;
        await load.more(CALLS_BETWEEN);
        issuer.publish(next);
        await load.more(CALLS_BETWEEN);
      }
      await load.stop();
      expect(load.failures).toEqual([]);
      expect(load.answered()).toBeGreaterThanOrEqual(CALLS_BETWEEN * (1 + 3 * ROTATIONS));
      // Once to begin with, and once for each new key.
      expect(issuer.endpoint.requests()).toBe(1 + ROTATIONS);
    });
  });

  test("no call fails when the issuer replaces its key and signs with the new one at once", async () => {
    await withIssuer(async (issuer) => {
      const load = startLoad(issuer);
      await load.more(CALLS_BETWEEN);
      let [replaced, remembered] = ["", ""];
      for (let i = 0; i < ROTATIONS; i++) {
        remembered = issuer.token();
        expect((await callTool(server.acme.mcp, remembered, "answer")).status).toBe(200);
        // What the old key signed has been answered: nobody could verify it afterwards.
        await load.pausedFor(() => {
          replaced = issuer.token();
          issuer.key = newKey();
          issuer.publish(issuer.key);
        });
        await load.more(3 * CALLS_BETWEEN);
      }
      await load.stop();
      expect(load.failures).toEqual([]);
      expect(load.answered()).toBeGreaterThanOrEqual(CALLS_BETWEEN * (1 + 3 * ROTATIONS));
      expect(issuer.endpoint.requests()).toBe(1 + ROTATIONS);
      // What the last of the old keys signed is refused, although all of this took but moments; also what was verified then.
      for (const token of [replaced, remembered]) {
        expect((await callTool(server.acme.mcp, token, "answer")).status).toBe(401);
      }
    });
  });
});

describe("an issuer whose key endpoint is down", () => {
  /** Leaves every request open, and counts those that still are. */
  function hang({ endpoint }: TestIssuer): { readonly open: () => number } {
    let open = 0;
    endpoint.answer = (_req, res) => {
      open++;
      res.once("close", () => {
        open--;
      });
    };
    return { open: () => open };
  }
  const unavailable = (answer: HttpAnswer): number => {
    expect([answer.status, answer.json.error.data.code]).toEqual([503, "keys_unavailable"]);
    const seconds = Number(answer.headers["retry-after"]);
    expect(seconds).toBeGreaterThanOrEqual(1);
    expect(answer.headers["www-authenticate"]).toBeUndefined();
    return seconds;
  };

  test("for ten minutes costs nothing while its keys are warm; after an hour it is 503 until it is back", async () => {
    await withIssuer(async (issuer) => {
      expect((await call(issuer)).status).toBe(200);
      const readAt = clock.monotonic();
      const passUntil = (minutes: number) => pass(readAt + minutes * MINUTE - clock.monotonic());
      const hanging = hang(issuer);
      const remembered = issuer.token();
      expect((await callTool(server.acme.mcp, remembered, "answer")).status).toBe(200);
      expect(issuer.endpoint.requests()).toBe(1);

      // The keys are due to be read again: that is begun, and the calls do not wait for it.
      await passUntil(10.1);
      const answers = await Promise.all(Array.from({ length: CALLERS }, () => call(issuer)));
      expect(hanging.open()).toBe(1);
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
      expect(issuer.endpoint.requests()).toBe(2);

      // It gives up, and tries again ever less often; still no call waits.
      await expect.poll(() => hanging.open(), { timeout: 10_000 }).toBe(0);
      for (const minutes of [11, 14, 17, 20]) {
        await passUntil(minutes);
        const before = issuer.endpoint.requests();
        expect((await call(issuer)).status).toBe(200);
        expect(issuer.endpoint.requests() - before).toBeLessThanOrEqual(1);
      }
      expect(issuer.endpoint.requests()).toBeLessThanOrEqual(6);
      await expect.poll(() => hanging.open(), { timeout: 10_000 }).toBe(0);

      // From here on it answers at once that it cannot.
      issuer.endpoint.answer = (_req, res) => res.writeHead(500).end();
      await passUntil(59.9);
      expect((await call(issuer)).status).toBe(200);
      await passUntil(60.1);
      unavailable(await call(issuer));

      issuer.publish(issuer.key);
      await pass(unavailable(await call(issuer)) * 1_000);
      expect((await call(issuer)).status).toBe(200);
    });
  });

  test.each([
    ["does not answer", (issuer: TestIssuer) => void hang(issuer)],
    [
      "cuts connections",
      ({ endpoint }: TestIssuer) => {
        endpoint.answer = (req) => req.socket.destroy();
      },
    ],
    [
      "fails",
      ({ endpoint }: TestIssuer) => {
        endpoint.answer = (_req, res) => res.writeHead(500).end();
      },
    ],
    [
      "has no keys to show",
      ({ endpoint }: TestIssuer) => {
        endpoint.answer = (_req, res) => res.end("<html>Maintenance</html>");
      },
    ],
  ])(
    "from the beginning, where it %s, is 503 for all who call, and 200 when it is back",
    async (_how, breakDown) => {
      await withIssuer(async (issuer) => {
        breakDown(issuer);
        const answers = await Promise.all(Array.from({ length: CALLERS }, () => call(issuer)));
        for (const answer of answers) unavailable(answer);
        expect(issuer.endpoint.requests()).toBe(1);
        const seconds = unavailable(await call(issuer));
        expect(issuer.endpoint.requests()).toBe(1);

        issuer.publish(issuer.key);
        await pass(seconds * 1_000);
        const recovered = await Promise.all(Array.from({ length: CALLERS }, () => call(issuer)));
        expect(recovered.map(({ status }) => status)).toEqual(recovered.map(() => 200));
        expect(issuer.endpoint.requests()).toBe(2);
      });
    },
  );
});
