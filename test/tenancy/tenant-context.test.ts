import { EventEmitter } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { defineServer, defineTool } from "../../src/catalog/define.ts";
import type { BulkheadEvent } from "../../src/core/event.ts";
import { Fault } from "../../src/core/fault.ts";
import type { OperationId } from "../../src/core/ids.ts";
import type { Principal } from "../../src/tenancy/principal.ts";
import { RequestContext } from "../../src/tenancy/request-context.ts";
import { currentTenant, runInTenant, type TenantSql } from "../../src/tenancy/tenant-context.ts";
import { callTool } from "../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";
import { silentLink } from "../support/silent-link.ts";
import { tenantSnapshot } from "../support/tenant-snapshot.ts";

/** A context of a tenant, and what it emitted and opened. */
function contextOf(slug: string, permissions: readonly string[] = []) {
  const snapshot = tenantSnapshot(slug, { settings: { theme: "dark" } });
  const principal: Principal = {
    tenantId: snapshot.id,
    kind: "user",
    issuer: "https://issuer.example.com",
    subject: "ada",
    clientId: null,
    permissions: new Set(permissions),
    roles: [],
    expiresAt: 1,
  };
  const { signal } = new AbortController();
  const events: BulkheadEvent[] = [];
  const opened: string[] = [];
  const context = new RequestContext({
    snapshot,
    principal,
    operationId: `op_${slug}` as OperationId,
    signal: () => signal,
    link: silentLink,
    ports: {
      openSql: () => {
        opened.push("sql");
        return (() => {}) as unknown as TenantSql;
      },
      openStore: () => {
        opened.push("store");
        return {
          get: async () => undefined,
          put: async () => {},
          delete: async () => false,
          list: async () => [],
        };
      },
      emit: (event) => events.push(event),
      now: () => 5,
      announce: () => {},
    },
  });
  return { context, principal, events, opened };
}

const missing = (): string => {
  try {
    return currentTenant().tenant.slug;
  } catch (error) {
    return error instanceof Fault ? error.code : String(error);
  }
};
const here = () => currentTenant().tenant.slug;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("currentTenant()", () => {
  test("outside a request is refused, before, during and after others' requests", async () => {
    expect(missing()).toBe("context_missing");
    const running = runInTenant(contextOf("acme").context, async () => {
      await pause(10);
      return here();
    });
    expect(missing()).toBe("context_missing");
    await pause(1);
    expect(missing()).toBe("context_missing");
    expect(await running).toBe("acme");
    expect(missing()).toBe("context_missing");
    await expect(
      runInTenant(contextOf("acme").context, async () => {
        throw new TypeError("handler");
      }),
    ).rejects.toThrow("handler");
    expect(missing()).toBe("context_missing");
  });

  test("inside is the very context, across every way of waiting", async () => {
    const { context } = contextOf("acme");
    const seen = await runInTenant(context, async () => {
      const found: unknown[] = [currentTenant()];
      const note = () => found.push(currentTenant());
      await null;
      note();
      await pause(1);
      note();
      await new Promise<void>((resolve) => setImmediate(() => resolve(void note())));
      await new Promise<void>((resolve) => process.nextTick(() => resolve(void note())));
      await new Promise<void>((resolve) => queueMicrotask(() => resolve(void note())));
      await new Promise<void>((resolve) => {
        let rounds = 0;
        const timer = setInterval(() => {
          note();
          rounds++;
          if (rounds < 2) return;
          clearInterval(timer);
          resolve();
        }, 1);
      });
      await Promise.reject(new Error("no")).catch(note);
      await (async () => {
        for await (const _ of (async function* () {
          yield await pause(1);
          note();
        })());
      })();
      const emitter = new EventEmitter();
      emitter.on("event", note);
      emitter.emit("event");
      return found;
    });
    expect(seen).toHaveLength(11);
    for (const found of seen) expect(found).toBe(context);
  });

  test("is each one's own where several tenants run at once", async () => {
    const slugs = ["acme", "globex", "initech"];
    const work = async (slug: string): Promise<string[]> => {
      const seen: string[] = [];
      for (let i = 0; i < 20; i++) {
        seen.push(here());
        await (i % 3 === 0 ? pause(Math.random() * 2) : i % 3 === 1 ? null : new Promise(setImmediate));
        const inner = await Promise.all([pause(1).then(here), Promise.resolve().then(here)]);
        seen.push(...inner);
      }
      expect(new Set(seen)).toEqual(new Set([slug]));
      return seen;
    };
    const all = await Promise.all(
      Array.from({ length: 30 }, (_, i) => {
        const slug = slugs[i % 3] ?? "";
        return runInTenant(contextOf(slug).context, () => work(slug));
      }),
    );
    expect(all.flat()).toHaveLength(30 * 60);
    expect(missing()).toBe("context_missing");
  });

  test("one within another is the inner one, and the outer one again afterwards", async () => {
    const seen = await runInTenant(contextOf("acme").context, async () => {
      const inner = await runInTenant(contextOf("globex").context, async () => {
        await pause(1);
        return here();
      });
      return [inner, here()];
    });
    expect(seen).toEqual(["globex", "acme"]);
  });
});

describe("a context", () => {
  test("is frozen, and so are its tenant and its principal", () => {
    const { context } = contextOf("acme");
    for (const part of [context, context.tenant, context.principal, context.tenant.limits])
      expect(Object.isFrozen(part)).toBe(true);
    for (const member of [
      "tenant",
      "principal",
      "operationId",
      "signal",
      "audit",
      "sql",
      "store",
      "log",
      "own",
    ])
      expect([member, Reflect.set(context, member, {})]).toEqual([member, false]);
    expect(Reflect.set(context.tenant, "slug", "globex")).toBe(false);
    expect(Reflect.set(context.principal, "subject", "eve")).toBe(false);
    expect(Reflect.defineProperty(context, "sql", { value: 1 })).toBe(false);
    expect(Reflect.setPrototypeOf(context, {})).toBe(false);
    expect([context.tenant.slug, context.principal.subject]).toEqual(["acme", "ada"]);
  });

  test("shows of the tenant what a handler may know, and not who may sign in", () => {
    const { context } = contextOf("acme");
    expect(Object.keys(context.tenant).sort()).toEqual(["id", "limits", "name", "plan", "settings", "slug"]);
    expect(JSON.stringify(context)).not.toContain("issuers");
  });

  test("holds a copy of the permissions: what is added is not remembered with the token", () => {
    const { context, principal } = contextOf("acme", ["a:read"]);
    (context.principal.permissions as Set<string>).add("admin");
    expect([...principal.permissions]).toEqual(["a:read"]);
  });

  test("opens the database and the store when they are asked for, each once", () => {
    const { context, opened } = contextOf("acme");
    expect(opened).toEqual([]);
    expect(context.store).toBe(context.store);
    expect(context.sql).toBe(context.sql);
    expect(opened).toEqual(["sql", "store"]);
  });

  test("logs as its tenant and operation, with a bounded text", () => {
    const { context, events } = contextOf("acme");
    context.log.warn("Low.", { left: 3 });
    context.log.info("x".repeat(10_000));
    context.log.error(undefined as unknown as string);
    expect(events[0]).toEqual({
      type: "tool_log",
      at: 5,
      tenantId: context.tenant.id,
      operationId: "op_acme",
      level: "warn",
      message: "Low.",
      fields: { left: 3 },
    });
    expect(events.map((event) => (event.type === "tool_log" ? event.message.length : 0))).toEqual([
      4, 8_192, 9,
    ]);
  });
});

describe("ctx.audit", () => {
  test("leaves nothing where nothing was noted", () => {
    expect(contextOf("acme").context.notes()).toBeNull();
  });

  test("keeps 20 notes, names and texts of 200 characters", () => {
    const { context } = contextOf("acme");
    context.audit({ ["n".repeat(300)]: "t".repeat(300), count: 3, done: true, none: null });
    for (let i = 0; i < 30; i++) context.audit({ [`note_${i}`]: i });
    const notes = context.notes() ?? {};
    expect(Object.keys(notes)).toEqual([
      "n".repeat(200),
      "count",
      "done",
      "none",
      ...Array.from({ length: 16 }, (_, i) => `note_${i}`),
    ]);
    expect(notes["n".repeat(200)]).toBe("t".repeat(200));
    expect([notes.count, notes.done, notes.none]).toEqual([3, true, null]);
    context.audit({ count: 4, another: 1 });
    expect([context.notes()?.count, context.notes()?.another]).toEqual([4, undefined]);
  });

  test("cuts no character in half, and keeps what a database takes", () => {
    const { context } = contextOf("acme");
    context.audit({
      cut: `${"x".repeat(199)}😀`,
      nul: "a\0b",
      "na\0me": "\ud800",
      ...(JSON.parse('{"__proto__":"own"}') as Record<string, string>),
    });
    expect(Object.entries(context.notes() ?? {})).toEqual([
      ["cut", `${"x".repeat(199)}\uFFFD`],
      ["nul", "a\uFFFDb"],
      ["na\uFFFDme", "\uFFFD"],
      ["__proto__", "own"],
    ]);
    expect(({} as Record<string, unknown>).own).toBeUndefined();
  });

  test("takes whatever a handler without types gives", () => {
    const { context } = contextOf("acme");
    const circular: Record<string, unknown> = {};
    circular.self = circular;
    context.audit({
      big: 10n,
      object: circular,
      list: [1],
      nothing: undefined,
      symbol: Symbol("s"),
    } as unknown as Record<string, string>);
    expect(context.notes()).toEqual({ big: "10", object: null, list: null, nothing: null, symbol: null });
  });
});

describe("handlers of a running server", () => {
  const server = defineServer({
    name: "shop",
    version: "1",
    tools: [
      defineTool({
        name: "who",
        description: "Says for whom it runs.",
        annotations: { readOnlyHint: true },
        input: z.object({ rounds: z.int() }),
        run: async ({ rounds }, ctx) => {
          const seen = new Set<string>();
          for (let i = 0; i < rounds; i++) {
            await pause(Math.random() * 3);
            const now = currentTenant();
            seen.add(`${now.tenant.slug} ${now.tenant.id} ${now.principal.subject} ${now === ctx}`);
          }
          return [...seen];
        },
      }),
      defineTool({
        name: "meddle",
        description: "Changes all it can reach.",
        requires: "shop:write",
        run: (_input, ctx) => {
          const before = JSON.stringify([ctx.tenant, [...ctx.principal.permissions]]);
          const { settings, limits } = ctx.tenant as { settings: Record<string, unknown>; limits: object };
          const nested = settings.nested as Record<string, unknown> | undefined;
          const quotas = (limits as { quotas: Record<string, object> }).quotas;
          const done = [
            Reflect.set(settings, "mine", 1),
            nested === undefined || Reflect.set(nested, "flag", "changed"),
            Reflect.set(limits, "requestsPerMinute", null),
            Reflect.set(quotas, "mine", {}),
            quotas.pages === undefined || Reflect.set(quotas.pages, "limit", 1_000_000),
          ];
          (ctx.principal.permissions as Set<string>).add("admin");
          return { before: JSON.parse(before), done };
        },
      }),
      defineTool({
        name: "note",
        description: "Notes what its caller says.",
        input: z.object({ text: z.string() }),
        run: ({ text }, ctx) => {
          ctx.audit({ text, big: 10n as unknown as number });
          return "Noted.";
        },
      }),
    ],
  });

  let running: TestServer;
  beforeAll(async () => {
    running = await startTestServer({ server });
  });
  afterAll(() => running.close());

  test("have their own tenant and caller, however many run at once", async () => {
    const { acme, globex, shared } = running;
    await running.admin("PATCH", "/tenants/globex", { limits: { maxConcurrency: 64 } });
    const calls = await Promise.all(
      Array.from({ length: 24 }, async (_, i) => {
        const tenant = i % 2 === 0 ? acme : globex;
        const [url, token] = i % 4 < 2 ? [tenant.mcp, tenant.token] : ([shared, tenant.sharedToken] as const);
        const answer = await callTool(url, token, "who", { rounds: 8 });
        return [
          answer.json.result.structuredContent,
          `${tenant.slug} ${tenant.id} ${i % 2 === 0 ? "ada" : "grace"} true`,
        ];
      }),
    );
    for (const [seen, expected] of calls) expect(seen).toEqual([expected]);
    expect(missing()).toBe("context_missing");
  });

  test("change nothing of what the next call of the tenant is given", async () => {
    const { acme } = running;
    await running.admin("PATCH", "/tenants/acme", {
      settings: { nested: { flag: "as it was" } },
      limits: { quotas: { pages: { limit: 5, period: "day" } } },
    });
    const first = (await callTool(acme.mcp, acme.token, "meddle")).json.result.structuredContent;
    const second = (await callTool(acme.mcp, acme.token, "meddle")).json.result.structuredContent;
    expect(first.done).toEqual([false, false, false, false, false]);
    expect(first.before[0].settings).toEqual({ nested: { flag: "as it was" } });
    expect(first.before[0].limits.quotas).toEqual({ pages: { limit: 5, period: "day" } });
    expect(first.before[1]).toEqual(["shop:write"]);
    expect(second).toEqual(first);
  });

  test("note what they like: what no database takes is on record all the same, and harms no other tenant", async () => {
    const { acme, globex } = running;
    const texts = ["a\0b", `${"x".repeat(199)}😀`, "\ud800", "fine"];
    const answers = await Promise.all([
      ...texts.map((text) => callTool(acme.mcp, acme.token, "note", { text })),
      ...texts.map(() => callTool(globex.mcp, globex.token, "note", { text: "theirs" })),
    ]);
    for (const answer of answers)
      expect(answer.json.result?.content).toEqual([{ type: "text", text: "Noted." }]);
    const rows = await running.database.admin<{ tenant_id: string; notes: { text: string; big: string } }>(
      "SELECT tenant_id, details->'notes' AS notes FROM bulkhead.audit_entries WHERE kind = 'outcome' AND target = 'note'",
    );
    const of = (tenant: string) =>
      rows
        .filter((row) => row.tenant_id === tenant)
        .map((row) => row.notes)
        .sort((a, b) => (a.text < b.text ? -1 : 1));
    expect(of(acme.id)).toEqual(
      ["a\uFFFDb", "fine", `${"x".repeat(199)}\uFFFD`, "\uFFFD"].map((text) => ({ text, big: "10" })),
    );
    expect(of(globex.id)).toHaveLength(4);
  });
});
