import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { defineResource, defineServer, defineTool } from "../../src/catalog/define.ts";
import { createTestDatabase } from "../support/database.ts";
import { openDeafDatabase } from "../support/deaf-database.ts";
import { eventsOf, openSession, type TestSession } from "../support/earlier-session.ts";
import { callTool } from "../support/mcp-request.ts";
import { listen, type TestStream } from "../support/open-stream.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";

/** Longest time from a change to its effect on every instance, in milliseconds. */
const SECOND = 1_000;
const GUIDE = "shop://guide";
const BOOKS = "shop://books/1999";

const change = z.union([z.enum(["tools", "prompts", "resources"]), z.object({ resource: z.string() })]);
const definition = defineServer({
  name: "shop",
  version: "1.0.0",
  tools: [
    defineTool({
      name: "tell",
      description: "Tells of changes.",
      input: z.object({ changes: z.array(change) }),
      run: ({ changes }, ctx) => {
        for (const each of changes) ctx.changed(each);
        return "told";
      },
    }),
    defineTool({ name: "report", description: "Reports.", toolSet: "reports", run: () => "report" }),
  ],
  resources: [
    defineResource({ name: "guide", uri: GUIDE, description: "A guide.", read: () => "Read me." }),
    defineResource({ name: "order", uri: "shop://orders/{id}", description: "Orders.", read: () => "one" }),
    defineResource({
      name: "books",
      uri: "shop://books/{year}",
      description: "The books.",
      requires: "books:read",
      read: () => "profit",
    }),
  ],
});

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ server: definition, instances: 2 });
});
afterAll(() => server.close());

type Slug = "acme" | "globex";
const urlOf = (instance: 0 | 1, slug: Slug): string => `${server.instances[instance]?.url}/t/${slug}/mcp`;
/** Methods, and URIs where there is one, of what a stream was told; not what it began with. */
const told = (stream: TestStream | undefined): string[] =>
  (stream === undefined ? [] : eventsOf(stream))
    .flatMap(({ data }) => (data === undefined || data.trim() === "" ? [] : [JSON.parse(data)]))
    .filter(({ method }) => method !== undefined && !method.endsWith("/acknowledged"))
    .map(({ method, params }) =>
      [method.replace("notifications/", ""), ...(params?.uri === undefined ? [] : [params.uri])].join(" "),
    );
const TOOLS = "tools/list_changed";
const PROMPTS = "prompts/list_changed";
const RESOURCES = "resources/list_changed";
const updated = (uri: string): string => `resources/updated ${uri}`;

const opened: TestStream[] = [];
afterAll(() => {
  for (const stream of opened) stream.destroy();
});
async function listening(
  instance: 0 | 1,
  slug: Slug,
  filter: Record<string, unknown>,
  token = server[slug].token,
): Promise<TestStream> {
  const stream = await listen(urlOf(instance, slug), token, filter);
  opened.push(stream);
  await expect.poll(() => stream.messages().length, { timeout: 10_000 }).toBe(1);
  return stream;
}
async function ownStream(session: TestSession, headers: Record<string, string> = {}): Promise<TestStream> {
  const stream = await session.get(headers);
  opened.push(stream);
  expect(stream.status).toBe(200);
  await expect.poll(stream.text).not.toBe("");
  return stream;
}
const tell = async (instance: 0 | 1, slug: Slug, ...changes: unknown[]): Promise<void> => {
  const answer = await callTool(urlOf(instance, slug), server[slug].token, "tell", { changes });
  expect(answer.json.result.content[0].text).toBe("told");
};
async function configure(slug: Slug, body: unknown): Promise<void> {
  expect((await server.admin("PATCH", `/tenants/${slug}`, body)).status).toBe(200);
}

describe("a change that a handler tells of", () => {
  test("reaches that tenant's streams of both generations on both instances, each by what it asked for", async () => {
    const acme = await openSession(urlOf(0, "acme"), server.acme.token);
    await acme.request("resources/subscribe", { uri: GUIDE });
    const globex = await openSession(urlOf(0, "globex"), server.globex.token);
    await globex.request("resources/subscribe", { uri: GUIDE });
    const streams = {
      "tools here": await listening(0, "acme", { toolsListChanged: true }),
      "tools there": await listening(1, "acme", { toolsListChanged: true }),
      "guide there": await listening(1, "acme", { resourceSubscriptions: [GUIDE, "shop://orders/7"] }),
      "session there": await ownStream(acme.through(urlOf(1, "acme"))),
      "globex here": await listening(0, "globex", { toolsListChanged: true, resourceSubscriptions: [GUIDE] }),
      "globex there": await listening(1, "globex", {
        toolsListChanged: true,
        resourceSubscriptions: [GUIDE],
      }),
      "globex session": await ownStream(globex.through(urlOf(1, "globex"))),
    };
    const all = () => Object.fromEntries(Object.entries(streams).map(([name, each]) => [name, told(each)]));
    await tell(0, "acme", "tools", { resource: GUIDE }, { resource: "shop://orders/8" });
    const at = performance.now();
    await expect
      .poll(() => told(streams["session there"]), { interval: 10 })
      .toEqual([TOOLS, updated(GUIDE)]);
    await expect.poll(() => told(streams["guide there"]), { interval: 10 }).toEqual([updated(GUIDE)]);
    expect(performance.now() - at).toBeLessThan(SECOND);
    // What globex hears of its own changes marks the end of what it could have heard before.
    await tell(1, "globex", "resources", "tools", { resource: GUIDE });
    const ofGlobex = [TOOLS, updated(GUIDE)];
    await expect.poll(() => told(streams["globex here"])).toEqual(ofGlobex);
    await expect.poll(() => told(streams["globex there"])).toEqual(ofGlobex);
    await expect.poll(() => told(streams["globex session"])).toEqual([RESOURCES, ...ofGlobex]);
    expect(all()).toEqual({
      "tools here": [TOOLS],
      "tools there": [TOOLS],
      "guide there": [updated(GUIDE)],
      "session there": [TOOLS, updated(GUIDE)],
      "globex here": ofGlobex,
      "globex there": ofGlobex,
      "globex session": [RESOURCES, ...ofGlobex],
    });
    expect(streams["guide there"].messages()[1]).toEqual({
      jsonrpc: "2.0",
      method: "notifications/resources/updated",
      params: { _meta: { "io.modelcontextprotocol/subscriptionId": 1 }, uri: GUIDE },
    });
  });

  test("in a loop is told a few times, and the last of it is", async () => {
    const stream = await listening(0, "acme", { toolsListChanged: true, resourceSubscriptions: [GUIDE] });
    await tell(0, "acme", ...Array.from({ length: 500 }, () => "tools"), { resource: GUIDE });
    await expect.poll(() => told(stream)).toContain(updated(GUIDE));
    expect(told(stream).filter((each) => each === TOOLS).length).toBeLessThanOrEqual(2);
  });

  test("that is none fails the call", async () => {
    const answer = await callTool(urlOf(0, "acme"), server.acme.token, "tell", {
      changes: [{ resource: "x".repeat(2_049) }],
    });
    expect(answer.json.error.data.code).toBe("handler_failed");
  });
});

describe("a change that is announced outside any call", () => {
  test("reaches the tenant, by slug or id, on the other instance", async () => {
    const filter = { resourceSubscriptions: ["shop://orders/slug", "shop://orders/id"] };
    const [stream, other] = [await listening(1, "acme", filter), await listening(1, "globex", filter)];
    const { bulkhead } = server.instances[0];
    await bulkhead.announce("acme", { resource: "shop://orders/slug" });
    await bulkhead.announce(server.acme.id, { resource: "shop://orders/id" });
    await expect
      .poll(() => told(stream))
      .toEqual([updated("shop://orders/slug"), updated("shop://orders/id")]);
    await bulkhead.announce("globex", { resource: "shop://orders/id" });
    await expect.poll(() => told(other)).toEqual([updated("shop://orders/id")]);
  });

  test.each(["initech", "tnt_00000000000000000000000000", "no tenant's name", ""])(
    "to %j is a fault",
    async (tenant) => {
      await expect(server.instances[0].bulkhead.announce(tenant, "tools")).rejects.toMatchObject({
        code: "tenant_not_found",
      });
    },
  );
});

describe("a resource that is subscribed to", () => {
  const tokenOf = async (subject: string, scope: string): Promise<string> => {
    const { json } = await server.admin("POST", "/development/tokens", { tenant: "acme", subject, scope });
    return String(json.token);
  };

  test("is honoured as far as the caller may read it, and told of as long as it may", async () => {
    await configure("acme", { roles: { bookkeeper: ["books:read"] } });
    const { issuer } = (await server.admin("POST", "/development/tokens", { tenant: "acme" })).json;
    const assignment = { issuer, subject: "bob", roles: ["bookkeeper"] };
    expect((await server.admin("PUT", "/tenants/acme/role-assignments", assignment)).status).toBe(201);
    const filter = { resourceSubscriptions: [BOOKS, GUIDE, "shop://nowhere", GUIDE] };
    const bob = await listening(1, "acme", filter, await tokenOf("bob", "tickets:read"));
    const eve = await listening(1, "acme", filter, await tokenOf("eve", "tickets:read"));
    const honoured = (stream: TestStream) => stream.messages()[0].params.notifications;
    expect(honoured(bob)).toEqual({ resourceSubscriptions: [BOOKS, GUIDE] });
    expect(honoured(eve)).toEqual({ resourceSubscriptions: [GUIDE] });
    const session = await openSession(urlOf(0, "acme"), await tokenOf("bob", "tickets:read"));
    expect((await session.request("resources/subscribe", { uri: BOOKS })).json.result).toEqual({});
    const own = await ownStream(session.through(urlOf(1, "acme")));

    await tell(0, "acme", { resource: BOOKS });
    await expect.poll(() => told(bob)).toEqual([updated(BOOKS)]);
    await expect.poll(() => told(own)).toEqual([updated(BOOKS)]);

    await configure("acme", { roles: {} });
    // Both instances know of it as soon as this list has changed on both.
    await configure("acme", { toolSets: ["reports"] });
    await expect.poll(() => told(own)).toContain(TOOLS);
    await tell(0, "acme", { resource: BOOKS });
    await tell(0, "acme", { resource: GUIDE });
    await expect.poll(() => told(bob)).toContain(updated(GUIDE));
    await tell(0, "acme", "prompts", "resources");
    await expect.poll(() => told(own)).toContain(RESOURCES);
    expect(told(bob)).toEqual([updated(BOOKS), updated(GUIDE)]);
    expect(told(eve)).toEqual([updated(GUIDE)]);
    expect(told(own).filter((each) => each.startsWith("resources/updated"))).toEqual([updated(BOOKS)]);
    await configure("acme", { toolSets: null });
  });
});

describe("a session's own stream", () => {
  test("tells of the configuration as it was changed, and of what is subscribed to at that moment", async () => {
    const session = await openSession(urlOf(0, "acme"), server.acme.token);
    const stream = await ownStream(session.through(urlOf(1, "acme")));
    const count = (what: string) => told(stream).filter((each) => each === what).length;
    await configure("acme", { toolSets: ["reports"] });
    await expect.poll(() => count(TOOLS)).toBe(1);
    await configure("acme", { toolSets: null });
    await expect.poll(() => count(TOOLS)).toBe(2);
    const [now, marker] = ["shop://orders/now", "shop://orders/marker"];
    await session.request("resources/subscribe", { uri: marker });
    await tell(0, "acme", { resource: now }, { resource: marker });
    await expect.poll(() => count(updated(marker))).toBe(1);
    await session.request("resources/subscribe", { uri: now });
    await tell(0, "acme", { resource: now });
    await expect.poll(() => count(updated(now))).toBe(1);
    await session.request("resources/unsubscribe", { uri: now });
    await tell(0, "acme", { resource: now }, { resource: marker });
    await expect.poll(() => count(updated(marker))).toBe(2);
    expect(count(updated(now))).toBe(1);
  });

  test("is one: a newer one ends it, on the same instance and on the other; it ends with the session", async () => {
    const session = await openSession(urlOf(0, "acme"), server.acme.token);
    const elsewhere = session.through(urlOf(1, "acme"));
    const first = await ownStream(session);
    const second = await ownStream(session);
    expect(await first.closed).toBe("end");
    const third = await ownStream(elsewhere);
    expect(await second.closed).toBe("end");
    expect(third.isOpen()).toBe(true);
    expect((await session.end()).status).toBeLessThan(300);
    expect(await third.closed).toBe("end");
    expect(told(third)).toEqual([]);
  });

  test("that its client comes back to tells of every list and every subscription anew", async () => {
    const session = await openSession(urlOf(0, "acme"), server.acme.token);
    for (const uri of [GUIDE, "shop://orders/5"]) await session.request("resources/subscribe", { uri });
    const stream = await ownStream(session);
    const [primed] = eventsOf(stream);
    expect(primed).toMatchObject({ id: expect.stringMatching(/^get_\S+\.0$/), retry: "1000" });
    stream.destroy();
    const again = await ownStream(session.through(urlOf(1, "acme")), { "last-event-id": String(primed?.id) });
    const everything = [TOOLS, RESOURCES, updated(GUIDE), updated("shop://orders/5")];
    await expect.poll(() => told(again)).toEqual(everything);
    const ids = eventsOf(again).map(({ id }) => id);
    expect(new Set(ids).size).toBe(everything.length + 1);
    expect(told(again)).not.toContain(PROMPTS);
  });
});

test("where no notification of the database is heard, a change is on the other instance within a second", async () => {
  const database = await createTestDatabase("plain");
  const deaf = await openDeafDatabase(database.adminUrl);
  const settings = { databaseUrl: deaf.url };
  const alone = await startTestServer({ server: definition, instances: 2, database, settings });
  try {
    const url = `${alone.instances[1]?.url}/t/acme/mcp`;
    const stream = await listen(url, alone.acme.token, { toolsListChanged: true });
    opened.push(stream);
    await expect.poll(() => stream.messages().length).toBe(1);
    expect(deaf.cut()).toBeGreaterThanOrEqual(2);
    await alone.instances[0].bulkhead.announce("acme", "tools");
    const at = performance.now();
    await expect.poll(() => told(stream), { interval: 10 }).toEqual([TOOLS]);
    expect(performance.now() - at).toBeLessThan(SECOND);
  } finally {
    await alone.close();
    await deaf.close();
  }
});
