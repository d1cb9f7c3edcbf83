import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { HttpAnswer } from "../support/mcp-request.ts";
import type { TestStream } from "../support/open-stream.ts";
import { ROWS } from "./revocations/rows.ts";
import {
  bearer,
  type Credential,
  type HeldCall,
  type Setting,
  startSetting,
  type TestTenant,
} from "./revocations/setting.ts";

/** Longest time from the answer of the admin API to the effect on every instance, in milliseconds. */
const SECOND = 1_000;
/** Pause between two looks, in milliseconds. */
const LOOK_MS = 10;

type Place = Pick<TestTenant, "slug">;

/** What a caller has under way: a stream on each instance, and a call that goes on. */
interface UnderWay {
  readonly streams: readonly TestStream[];
  readonly calls: readonly HeldCall[];
}

describe.each([
  ["with notifications", false],
  ["with every notification lost", true],
] as const)("%s", (_how, deaf) => {
  let at: Setting;
  let neighbour: { readonly place: Place; readonly credential: Credential; readonly underWay: UnderWay };
  beforeAll(async () => {
    at = await startSetting({ deaf });
    const place = { slug: "globex" };
    const credential = bearer(at.server.globex.token);
    neighbour = { place, credential, underWay: await begin(place, credential) };
  });
  afterAll(async () => {
    end(neighbour.underWay);
    await at.close();
  });

  async function begin(place: Place, credential: Credential): Promise<UnderWay> {
    const streams = await Promise.all(([0, 1] as const).map((each) => at.stream(each, place, credential)));
    for (const stream of streams) expect(stream.status).toBe(200);
    const calls = await Promise.all(([0, 1] as const).map((each) => at.hold(each, place, credential)));
    return { streams, calls };
  }
  const end = ({ streams, calls }: UnderWay): void => {
    for (const stream of streams) stream.destroy();
    for (const call of calls) call.hangUp();
  };
  async function expectGoesOn(place: Place, credential: Credential, underWay: UnderWay): Promise<void> {
    for (const instance of [0, 1] as const) {
      expect((await at.ask(instance, place, credential)).status).toBe(200);
    }
    expect(underWay.streams.map((stream) => stream.isOpen())).toEqual([true, true]);
    expect(underWay.calls.map((call) => call.told())).toEqual([undefined, undefined]);
  }
  /** The first answer that is none of success, and when it came. */
  async function firstRefusal(
    place: Place,
    credential: Credential,
    since: number,
  ): Promise<{ readonly answer: HttpAnswer; readonly after: number }> {
    for (;;) {
      const answer = await at.ask(1, place, credential);
      const after = performance.now() - since;
      if (answer.status !== 200 || after > 5 * SECOND) return { answer, after };
      await delay(LOOK_MS);
    }
  }

  test("instances hear notifications, or none", async () => {
    if (deaf) await expect.poll(() => at.cutListeners()).toBeGreaterThanOrEqual(2);
    await expect.poll(() => at.listeners()).toBe(deaf ? 0 : 2);
  });

  test.each(ROWS.map((row) => [row.name, row] as const))(
    "when %s, it ends on the other instance within a second",
    async (_name, row) => {
      const tenant = await at.newTenant();
      const { ending, staying, change } = await row.begin(tenant, at);
      // The other instance has each of them among the credentials that it has verified, and in use.
      for (const credential of [ending, ending, ...(staying === null ? [] : [staying, staying])]) {
        await expect.poll(async () => (await at.ask(1, tenant, credential)).status).toBe(200);
      }
      const underWay = await begin(tenant, ending);
      const others = staying === null ? null : await begin(tenant, staying);

      await tenant.change(...change);
      const changed = performance.now();
      const took = (): number => performance.now() - changed;
      const [refusal, streams, calls] = await Promise.all([
        firstRefusal(tenant, ending, changed),
        Promise.all(underWay.streams.map(async (stream) => ({ how: await stream.closed, after: took() }))),
        Promise.all(underWay.calls.map(async (call) => ({ answer: await call.answer, after: took() }))),
      ]);

      expect([refusal.answer.status, refusal.answer.json.error.data.code]).toEqual(row.refused);
      expect(streams.map(({ how }) => how)).toEqual(["end", "end"]);
      expect(calls.map(({ answer }) => [answer.status, answer.json.error.data.code])).toEqual([
        [401, "credentials_ended"],
        [401, "credentials_ended"],
      ]);
      expect(underWay.calls.map((call) => call.told())).toEqual(["credentials_ended", "credentials_ended"]);
      for (const { after } of [refusal, ...streams, ...calls]) expect(after).toBeLessThan(SECOND);

      if (staying !== null && others !== null) {
        await expectGoesOn(tenant, staying, others);
        end(others);
      }
      await expectGoesOn(neighbour.place, neighbour.credential, neighbour.underWay);
    },
  );

  test.each([
    [
      "token",
      (tenant: TestTenant, expiry: number) => tenant.token({ claims: { exp: Math.floor(expiry / 1000) } }),
    ],
    [
      "API key",
      async (tenant: TestTenant, expiry: number) => {
        await tenant.change("PATCH", `/tenants/${tenant.slug}`, { apiKeys: true });
        return tenant.apiKey(new Date(expiry));
      },
    ],
  ] as const)("streams end when their %s expires, on both instances, and not before", async (_what, make) => {
    const tenant = await at.newTenant();
    const expiry = Math.ceil(Date.now() / 1000) * 1000 + 2_000;
    const credential = await make(tenant, expiry);
    const staying = tenant.token();
    for (const one of [credential, staying]) {
      await expect.poll(async () => (await at.ask(1, tenant, one)).status).toBe(200);
    }
    const streams = await Promise.all(([0, 1] as const).map((each) => at.stream(each, tenant, credential)));
    const others = await begin(tenant, staying);
    const ends = await Promise.all(
      streams.map(async (stream) => ({ how: await stream.closed, after: Date.now() - expiry })),
    );
    for (const { how, after } of ends) {
      expect(how).toBe("end");
      // A timer may be a little early.
      expect(after).toBeGreaterThanOrEqual(-5);
      expect(after).toBeLessThan(SECOND);
    }
    await expectGoesOn(tenant, staying, others);
    end(others);
  });
});
