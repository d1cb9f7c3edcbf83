import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { createIdSource } from "../../src/core/ids.ts";
import { refuse } from "../../src/core/refusal.ts";
import { createDeadlines } from "../../src/protocol/deadlines.ts";
import { createElicitations } from "../../src/protocol/elicitations.ts";
import { HttpReply } from "../../src/protocol/http-reply.ts";
import { createOpenWork } from "../../src/protocol/open-work.ts";
import { createOperationRunner } from "../../src/protocol/operation-runner.ts";
import type { Operation } from "../../src/protocol/operations.ts";
import { createOutbox } from "../../src/protocol/outbox.ts";
import { complete } from "../../src/protocol/performed.ts";
import type { Principal } from "../../src/tenancy/principal.ts";
import type { TenantContext } from "../../src/tenancy/tenant-context.ts";
import type { TenantSnapshot } from "../../src/tenancy/tenant-snapshot.ts";
import { mcpRequestOf } from "../support/mcp-request-of.ts";
import { tenantSnapshot } from "../support/tenant-snapshot.ts";

const acme = tenantSnapshot("acme");
const globex = tenantSnapshot("globex");

interface Caller {
  readonly snapshot: TenantSnapshot;
  readonly subject: string;
}
const caller = (snapshot: TenantSnapshot, subject: string): Caller => ({ snapshot, subject });
const everythingHolds = (): boolean => true;
const nothingHolds = (): boolean => false;

describe("a check of a tenant", () => {
  test("ends what no longer holds, and nothing else of that tenant", () => {
    const openWork = createOpenWork<Caller>();
    const [ada, bob] = [openWork.begin(caller(acme, "ada")), openWork.begin(caller(acme, "bob"))];
    const newer = { ...acme, version: 2 };
    const asked: unknown[] = [];
    openWork.check(acme.id, newer, (snapshot, { subject }) => {
      asked.push([snapshot === newer, subject]);
      return subject !== "ada";
    });
    expect(asked).toEqual([
      [true, "ada"],
      [true, "bob"],
    ]);
    expect(ada.ended).toEqual({ kind: "refusal", code: "credentials_ended" });
    expect(bob.ended).toBeNull();
  });

  test("asks of what holds as of what was found to hold last: the configuration before is let go", () => {
    const openWork = createOpenWork<Caller>();
    openWork.begin(caller(acme, "ada"));
    const seen: Caller[] = [];
    const versions = [2, 3].map((version) => ({ ...acme, version }));
    for (const newer of versions) {
      openWork.check(acme.id, newer, (_snapshot, asked) => {
        seen.push(asked);
        return true;
      });
    }
    expect(seen).toEqual([caller(acme, "ada"), { snapshot: versions[0], subject: "ada" }]);
  });

  test("touches no other tenant's work, and asks nothing about it", () => {
    const openWork = createOpenWork<Caller>();
    const other = openWork.begin(caller(globex, "ada"));
    openWork.check(acme.id, acme, nothingHolds);
    openWork.check(acme.id, null, nothingHolds);
    expect(other.ended).toBeNull();
  });

  test("ends all when the tenant is gone, without asking", () => {
    const openWork = createOpenWork<Caller>();
    const work = openWork.begin(caller(acme, "ada"));
    openWork.check(acme.id, null, everythingHolds);
    expect(work.ended?.code).toBe("credentials_ended");
  });

  test("does not end what is over", () => {
    const openWork = createOpenWork<Caller>();
    const work = openWork.begin(caller(acme, "ada"));
    const told: string[] = [];
    work.onEnd((why) => told.push(why.code));
    work.finish();
    openWork.check(acme.id, acme, nothingHolds);
    expect([work.ended, told]).toEqual([null, []]);
  });
});

describe("who is told of an end", () => {
  test("is told once, with the first reason", () => {
    const openWork = createOpenWork<Caller>();
    const told: string[] = [];
    openWork.begin(caller(acme, "ada")).onEnd((why) => told.push(why.code));
    openWork.endAll(refuse("stopping"));
    openWork.check(acme.id, acme, nothingHolds);
    expect(told).toEqual(["stopping"]);
  });

  test("is told at once where it had ended before: while the body was read", () => {
    const openWork = createOpenWork<Caller>();
    const work = openWork.begin(caller(acme, "ada"));
    openWork.check(acme.id, acme, nothingHolds);
    const told: string[] = [];
    work.onEnd((why) => told.push(why.code));
    expect(told).toEqual(["credentials_ended"]);
  });

  test("may finish its work then, and all others are told nevertheless", () => {
    const openWork = createOpenWork<Caller>();
    const told: number[] = [];
    for (let i = 0; i < 5; i++) {
      const work = openWork.begin(caller(acme, "ada"));
      work.onEnd(() => {
        told.push(i);
        work.finish();
      });
    }
    openWork.check(acme.id, acme, nothingHolds);
    expect(told).toEqual([0, 1, 2, 3, 4]);
    expect(openWork.has(acme.id)).toBe(false);
  });
});

describe("the register", () => {
  test("knows a tenant as long as something of it is under way", () => {
    const openWork = createOpenWork<Caller>();
    const [first, second] = [openWork.begin(caller(acme, "ada")), openWork.begin(caller(acme, "ada"))];
    const other = openWork.begin(caller(globex, "hank"));
    expect([...openWork.tenants()]).toEqual([acme.id, globex.id]);
    first.finish();
    other.finish();
    expect([openWork.has(acme.id), openWork.has(globex.id)]).toEqual([true, false]);
    second.finish();
    expect([...openWork.tenants()]).toEqual([]);
  });

  test("is left once: finishing again takes nobody else out", () => {
    const openWork = createOpenWork<Caller>();
    const first = openWork.begin(caller(acme, "ada"));
    first.finish();
    const second = openWork.begin(caller(acme, "ada"));
    first.finish();
    openWork.check(acme.id, acme, nothingHolds);
    expect(second.ended?.code).toBe("credentials_ended");
  });

  test("keeps what outlives its request until that is closed", async () => {
    const openWork = createOpenWork<Caller>();
    const work = openWork.begin(caller(acme, "ada"));
    let close = (): void => {};
    work.keepUntil(
      new Promise<void>((resolve) => {
        close = resolve;
      }),
    );
    work.finish();
    openWork.check(acme.id, acme, nothingHolds);
    expect(work.ended?.code).toBe("credentials_ended");
    expect(openWork.has(acme.id)).toBe(true);
    close();
    await expect.poll(() => openWork.has(acme.id)).toBe(false);
  });
});

describe("a call under way", () => {
  const principal: Principal = {
    tenantId: acme.id,
    kind: "user",
    issuer: "https://issuer.example",
    subject: "ada",
    clientId: null,
    permissions: new Set(),
    roles: [],
    expiresAt: Number.MAX_SAFE_INTEGER,
  };
  const runner = createOperationRunner({
    portsFor: () => ({
      openSql: () => {
        throw new TypeError("not opened in this test");
      },
      openStore: () => {
        throw new TypeError("not opened in this test");
      },
      emit: () => {},
      now: () => 0,
      announce: () => {},
    }),
    deadlines: createDeadlines(systemClock.monotonic),
    elicitations: createElicitations(),
  });
  const operation = (perform: Operation["perform"]): Operation => ({
    target: "slow",
    readOnly: false,
    access: { allowed: true, reason: "not_required" },
    tool: null,
    answer: null,
    perform,
  });
  const run = (work: ReturnType<ReturnType<typeof createOpenWork<Caller>>["begin"]>, of: Operation) =>
    runner.run({
      operation: of,
      snapshot: acme,
      principal,
      operationId: createIdSource(systemClock.now).operation(),
      request: mcpRequestOf({ method: "tools/call" }),
      reply: new HttpReply(new ServerResponse(new IncomingMessage(new Socket())), {
        challengeOf: () => undefined,
        takesEvents: false,
        outbox: createOutbox(() => {}),
      }),
      open: () => {
        throw new TypeError("nothing is asked in this test");
      },
      work,
    });

  test("is told by its signal when its credential ends, and is answered although it goes on", async () => {
    const openWork = createOpenWork<Caller>();
    const work = openWork.begin(caller(acme, "ada"));
    const begun: TenantContext[] = [];
    let end = (): void => {};
    const running = run(
      work,
      operation(async (ctx) => {
        begun.push(ctx);
        await new Promise<void>((resolve) => {
          end = resolve;
        });
        return complete({});
      }),
    );
    await expect.poll(() => begun.length).toBe(1);
    openWork.check(acme.id, acme, everythingHolds);
    expect(begun[0]?.signal.aborted).toBe(false);
    openWork.check(acme.id, acme, nothingHolds);
    expect(begun[0]?.signal.aborted).toBe(true);
    const { result, stillWorking } = await running;
    expect(result).toMatchObject({ kind: "refusal", code: "credentials_ended" });
    expect(stillWorking).not.toBeNull();
    end();
    await stillWorking;
  });

  test("does not begin when its credential has ended before", async () => {
    const openWork = createOpenWork<Caller>();
    const work = openWork.begin(caller(acme, "ada"));
    openWork.check(acme.id, null, everythingHolds);
    let ran = false;
    const { result } = await run(
      work,
      operation(async () => {
        ran = true;
        return complete({});
      }),
    );
    expect([ran, result]).toEqual([false, { kind: "refusal", code: "credentials_ended" }]);
  });
});
