import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createIdSource, type TenantId } from "../../src/core/ids.ts";
import { isRefusal, type Refusal, refuse } from "../../src/core/refusal.ts";
import { createSessionRepository } from "../../src/data/session-repository.ts";
import type { Session } from "../../src/protocol/session.ts";
import type { SessionStore } from "../../src/protocol/session-store.ts";
import { createSessions, type Sessions } from "../../src/protocol/sessions.ts";
import { createFakeClock, type FakeClock } from "../identity/fake-clock.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { addTwoTenants, startSignals, type TestSignals } from "../support/instance-signals.ts";

/** An instance whose queries for sessions are counted, and can be held up. */
interface Instance {
  readonly signals: TestSignals;
  readonly sessions: Sessions;
  readonly clock: FakeClock;
  /** Sessions looked up by each query so far. */
  readonly queries: number[];
  /** Runs between what a query finds and its answer. */
  onFound: () => Promise<void>;
}

const ids = createIdSource(Date.now);
const CLIENT = { name: "a client", version: "1", capabilities: { roots: {} } };
let database: TestDatabase;
let acme: TenantId;
let globex: TenantId;
let one: Instance;
let other: Instance;
beforeAll(async () => {
  database = await createTestDatabase();
  [acme, globex] = await addTwoTenants(database);
});
beforeEach(async () => {
  await database.admin("DELETE FROM bulkhead.sessions");
  [one, other] = await Promise.all([start(), start()]);
});
afterEach(async () => {
  for (const { sessions, signals } of [one, other]) {
    await sessions.close();
    await signals.close();
  }
});
afterAll(() => database.drop());

async function start(): Promise<Instance> {
  const signals = await startSignals(database.system);
  const clock = createFakeClock();
  const repository = createSessionRepository(database.system);
  const queries: number[] = [];
  const store: SessionStore = {
    ...repository,
    async find(names) {
      queries.push(names.length);
      const found = await repository.find(names);
      await instance.onFound();
      return found;
    },
  };
  const sessions = createSessions({
    store,
    signals,
    ids,
    clock,
    onFault: (message) => signals.faults.push(message),
  });
  const instance: Instance = { signals, sessions, clock, queries, onFound: async () => {} };
  return instance;
}

async function open(on = one, more: { principalKey?: string; tenantId?: TenantId } = {}): Promise<Session> {
  return opened(
    await on.sessions.create({
      tenantId: acme,
      principalKey: "ann",
      revision: "2025-06-18",
      client: CLIENT,
      ...more,
    }),
  );
}

function opened(session: Session | Refusal): Session {
  if (isRefusal(session)) throw new TypeError(session.code);
  return session;
}

const get = (on: Instance, { id }: Session) => on.sessions.get(acme, id, "ann");

/** Hands on what instances have told each other. */
async function exchange(): Promise<void> {
  await Promise.all([one.signals.flush(), other.signals.flush()]);
  await Promise.all([one.signals.catchUp(), other.signals.catchUp()]);
}

describe("a session", () => {
  it("is the same on every instance", async () => {
    const session = await open();
    const expected = {
      id: session.id,
      tenantId: acme,
      principalKey: "ann",
      revision: "2025-06-18",
      client: CLIENT,
      logLevel: null,
      subscriptions: new Set(),
    };
    expect(session).toEqual(expected);
    expect(get(one, session)).toEqual(expected);
    expect(await get(other, session)).toEqual(expected);
  });

  it("is not there for another tenant or principal, on the instance that has it in memory or any other", async () => {
    const session = await open();
    for (const { sessions } of [one, other]) {
      expect(await sessions.get(acme, session.id, "ann")).not.toBeNull();
      expect(await sessions.get(acme, session.id, "bob")).toBeNull();
      expect(await sessions.get(globex, session.id, "ann")).toBeNull();
      expect(await sessions.get(acme, ids.session(), "ann")).toBeNull();
      // Nor has asking for it ended it for its owner.
      expect(await sessions.get(acme, session.id, "ann")).not.toBeNull();
    }
  });

  it("is not looked for where the text can be no session's id", async () => {
    for (const id of ["", "__proto__", "ses_x", `${ids.session()}\0`, "x".repeat(100_000)]) {
      expect(one.sessions.get(acme, id, "ann")).toBeNull();
    }
    expect(one.queries).toEqual([]);
  });

  it("takes from a client what JSON can hold, and not more than it may", async () => {
    const client = { name: "\u0000\ud800", version: null, capabilities: {} };
    const session = opened(
      await one.sessions.create({ tenantId: acme, principalKey: "ann", revision: "2025-11-25", client }),
    );
    expect((await get(other, session))?.client).toEqual(client);
    const large = { ...client, capabilities: { experimental: { x: "x".repeat(16 * 1_024) } } };
    expect(
      await one.sessions.create({
        tenantId: acme,
        principalKey: "ann",
        revision: "2025-11-25",
        client: large,
      }),
    ).toMatchObject({ kind: "refusal", code: "params_invalid" });
  });

  it("takes the place of the one that whoever has the most has not used for longest, where that may be", async () => {
    await database.admin(
      `INSERT INTO bulkhead.sessions (tenant_id, id, principal, revision, client, seen_at)
       SELECT CASE WHEN n > 10000 THEN $2 ELSE $1 END, 'ses_' || lpad(n::text, 26, '0'),
              CASE WHEN n <= 3000 THEN 'ann' ELSE 'bob' END, '2025-11-25', '{}', now() - n * interval '1 second'
         FROM generate_series(1, 12000) AS n`,
      [acme, globex],
    );
    const session = { tenantId: acme, principalKey: "ann", revision: "2025-11-25", client: CLIENT } as const;
    const over = refuse("rate_limited", { data: { limit: "requestsPerMinute" } });
    expect(await one.sessions.create({ ...session, mayMakeRoom: () => over })).toBe(over);
    const made = await Promise.all(
      [one, other].map(({ sessions }) => sessions.create({ ...session, mayMakeRoom: () => null })),
    );
    expect(made).toMatchObject([{ principalKey: "ann" }, { principalKey: "ann" }]);
    const gone = await database.admin<{ n: number }>(
      `SELECT n FROM generate_series(1, 12000) AS n
        WHERE NOT EXISTS (SELECT FROM bulkhead.sessions s WHERE s.id = 'ses_' || lpad(n::text, 26, '0')) ORDER BY n`,
    );
    expect(gone.map(({ n }) => n)).toEqual([9_999, 10_000]);
  });

  it("is refused where the tenant has 10,000, however many ask at once, and where it is gone", async () => {
    await database.admin(
      `INSERT INTO bulkhead.sessions (tenant_id, id, principal, revision, client)
       SELECT $1, 'ses_' || lpad(n::text, 26, '0'), 'p', '2025-11-25', '{}' FROM generate_series(1, 9998) AS n`,
      [acme],
    );
    const create = (on: Instance, tenantId: TenantId) =>
      on.sessions.create({ tenantId, principalKey: "ann", revision: "2025-11-25", client: CLIENT });
    const answers = await Promise.all([one, one, one, other, other, other].map((on) => create(on, acme)));
    expect(answers.filter((answer) => !isRefusal(answer))).toHaveLength(2);
    expect(answers.filter(isRefusal)).toMatchObject(
      Array(4).fill({ code: "rate_limited", data: { limit: "sessions" } }),
    );
    expect(await create(one, globex)).toMatchObject({ tenantId: globex });
    expect(await create(one, ids.tenant())).toMatchObject({ code: "token_invalid" });
  });
});

describe("a session in memory", () => {
  it("counts at once for half a second, then is looked up again", async () => {
    const session = await open();
    one.clock.advance(499);
    expect(get(one, session)).toBe(session);
    one.clock.advance(1);
    const again = get(one, session);
    expect(again).toBeInstanceOf(Promise);
    expect(await again).toBe(session);
    expect(get(one, session)).toBe(session);
    expect(one.queries).toEqual([1]);
  });

  it("is looked up with all others of the moment in one query, and once for all who ask", async () => {
    const sessions = await Promise.all(Array.from({ length: 20 }, () => open()));
    const found = await Promise.all([...sessions, ...sessions].map((session) => get(other, session)));
    expect(found.map((session) => session?.id)).toEqual([...sessions, ...sessions].map(({ id }) => id));
    expect(other.queries).toEqual([20]);
  });

  it("that has ended elsewhere is gone half a second later although every signal was lost", async () => {
    const session = await open();
    await get(other, session);
    expect(await one.sessions.end(session)).toBe(true);
    expect(await get(one, session)).toBeNull();
    other.clock.advance(499);
    expect(get(other, session)).toMatchObject({ id: session.id });
    other.clock.advance(1);
    expect(await get(other, session)).toBeNull();
    expect(await other.sessions.end(session)).toBe(false);
  });

  it("that has ended or changed elsewhere is dropped at once where the signal is heard", async () => {
    const session = await open();
    const neighbour = await open();
    await Promise.all([get(other, session), get(other, neighbour)]);
    await one.sessions.setLogLevel(session, "error");
    await exchange();
    expect(await get(other, session)).toMatchObject({ logLevel: "error" });
    await one.sessions.end(session);
    await exchange();
    expect(await get(other, session)).toBeNull();
    expect(get(other, neighbour)).toMatchObject({ id: neighbour.id });
  });

  it("is not remembered as it was found where it changes before the answer is there", async () => {
    const session = await open();
    let found = 0;
    other.onFound = async () => {
      if (++found === 1) {
        await one.sessions.end(session);
        await exchange();
      }
    };
    // It was there when this began; whoever comes after does not join it.
    const first = get(other, session);
    await expect.poll(() => found).toBe(1);
    expect(await first).toMatchObject({ id: session.id });
    expect(await get(other, session)).toBeNull();
  });

  it("is not found by a lookup that hangs for as long as an answer may count: whoever comes then asks anew", async () => {
    const session = await open();
    let release = (): void => {};
    let found = 0;
    other.onFound = () =>
      ++found === 1
        ? new Promise<void>((resolve) => {
            release = resolve;
          })
        : Promise.resolve();
    const first = get(other, session);
    await expect.poll(() => found).toBe(1);
    await one.sessions.end(session);
    other.clock.advance(500);
    expect(await get(other, session)).toBeNull();
    release();
    expect(await first).toMatchObject({ id: session.id });
    expect(await get(other, session)).toBeNull();
  });

  it("fails where it cannot be confirmed, and is looked up again by the next", async () => {
    const session = await open();
    one.clock.advance(500);
    one.onFound = () => Promise.reject(new TypeError("cut"));
    await expect(get(one, session)).rejects.toThrow("cut");
    one.onFound = async () => {};
    expect(await get(one, session)).toBe(session);
  });

  it("that another version wrote is not there, and keeps no other from being found", async () => {
    const sessions = await Promise.all([open(), open(), open(), open()]);
    const changes = ["revision = '2031-01-01'", "client = '{'", "log_level = 'loud'"];
    for (const [index, change] of changes.entries()) {
      await database.admin(`UPDATE bulkhead.sessions SET ${change} WHERE id = $1`, [sessions[index]?.id]);
    }
    const found = await Promise.all(sessions.map((session) => get(other, session)));
    expect(found.map((session) => session?.id)).toEqual([undefined, undefined, undefined, sessions[3]?.id]);
    expect(other.queries).toEqual([4]);
  });
});

it("no more of what clients say of themselves is held in memory than it can take once parsed", async () => {
  const store = { ...createSessionRepository(database.system), insert: async () => "opened" as const };
  const sessions = createSessions({ store, signals: one.signals, ids, clock: one.clock, onFault: () => {} });
  const client = { ...CLIENT, capabilities: { experimental: { x: "x".repeat(16_000) } } };
  const create = async () =>
    opened(await sessions.create({ tenantId: acme, principalKey: "ann", revision: "2025-11-25", client }));
  const first = await create();
  for (let n = 0; n < 500; n++) await create();
  expect(sessions.get(acme, first.id, "ann")).toBe(first);
  for (let n = 0; n < 530; n++) await create();
  expect(await sessions.get(acme, first.id, "ann")).not.toBe(first);
  await sessions.close();
});

describe("what a client sets in its session", () => {
  it("is in effect for its next request, on every instance", async () => {
    const session = await open();
    expect(await one.sessions.setLogLevel(session, "warning")).toMatchObject({ logLevel: "warning" });
    await one.sessions.subscribe(session, "notes://1");
    await one.sessions.subscribe(session, "notes://1");
    await other.sessions.subscribe(session, "notes://2");
    await one.sessions.unsubscribe(session, "notes://never");
    expect(await one.sessions.subscribe(session, "notes://3")).toMatchObject({ id: session.id });
    await other.sessions.unsubscribe(session, "notes://1");
    await exchange();
    for (const on of [one, other]) {
      const now = await get(on, session);
      expect(now?.logLevel).toBe("warning");
      expect([...(now?.subscriptions ?? [])]).toEqual(["notes://2", "notes://3"]);
    }
  });

  it("may be 1,000 subscriptions, of URIs that can be some", async () => {
    const session = await open();
    await database.admin(
      "UPDATE bulkhead.sessions SET subscriptions = ARRAY(SELECT 'n://' || n FROM generate_series(1, 999) AS n)",
    );
    expect(await one.sessions.subscribe(session, "n://1000")).toMatchObject({ id: session.id });
    expect(await one.sessions.subscribe(session, "n://1000")).toMatchObject({ id: session.id });
    expect(await one.sessions.subscribe(session, "n://1001")).toMatchObject({
      code: "rate_limited",
      data: { limit: "subscriptions" },
    });
    for (const uri of ["n://\0", "n://\ud800", `n://${"x".repeat(2_048)}`]) {
      expect(await one.sessions.subscribe(session, uri)).toMatchObject({ code: "params_invalid" });
      expect(await one.sessions.unsubscribe(session, uri)).toMatchObject({ id: session.id });
    }
  });

  it("is 64 KB of subscriptions at most: they are read with every look at the session", async () => {
    const session = await open();
    const uri = (n: number): string => `n://${String(n).padStart(2_044, "x")}`;
    await database.admin("UPDATE bulkhead.sessions SET subscriptions = $1", [
      Array.from({ length: 31 }, (_, n) => uri(n)),
    ]);
    expect(await one.sessions.subscribe(session, uri(31))).toMatchObject({ id: session.id });
    expect(await one.sessions.subscribe(session, "n://1")).toMatchObject({ code: "rate_limited" });
    expect(await one.sessions.subscribe(session, uri(7))).toMatchObject({ id: session.id });
  });

  it("is refused where the session has ended, and is another tenant's never", async () => {
    const session = await open();
    const stranger = { ...session, tenantId: globex };
    expect(await one.sessions.setLogLevel(stranger, "error")).toMatchObject({ code: "session_unknown" });
    expect(await one.sessions.subscribe(stranger, "n://1")).toMatchObject({ code: "session_unknown" });
    expect(await one.sessions.end(stranger)).toBe(false);
    expect(await get(other, session)).toMatchObject({ logLevel: null, subscriptions: new Set() });
    await one.sessions.end(session);
    expect(await other.sessions.setLogLevel(session, "error")).toMatchObject({ code: "session_unknown" });
    expect(await other.sessions.subscribe(session, "n://1")).toMatchObject({ code: "session_unknown" });
    expect(await other.sessions.unsubscribe(session, "n://1")).toMatchObject({ code: "session_unknown" });
  });
});

describe("the time that a session was last used", () => {
  const age = async (interval: string): Promise<void> => {
    await database.admin("UPDATE bulkhead.sessions SET seen_at = now() - $1::interval", [interval]);
  };
  const isRecent = async (): Promise<boolean | undefined> => {
    const [row] = await database.admin<{ recent: boolean }>(
      "SELECT seen_at > now() - interval '30 seconds' AS recent FROM bulkhead.sessions",
    );
    return row?.recent;
  };

  it("is noted once a minute at most, after the fact", async () => {
    const session = await open();
    await age("50 seconds");
    await get(other, session);
    await other.sessions.close();
    expect(await isRecent()).toBe(false);
    await age("61 seconds");
    one.clock.advance(500);
    await get(one, session);
    await one.sessions.close();
    expect(await isRecent()).toBe(true);
  });

  it("ends it a day later", async () => {
    const session = await open();
    await age("23 hours 59 minutes");
    expect(await get(other, session)).not.toBeNull();
    await age("24 hours 1 second");
    other.clock.advance(500);
    expect(await get(other, session)).toBeNull();
    expect(await other.sessions.setLogLevel(session, "error")).toMatchObject({ code: "session_unknown" });
  });
});
