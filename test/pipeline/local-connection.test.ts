import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type LocalServer, startLocalServer } from "../../src/local-server.ts";
import features from "../clients/fixtures/features.ts";
import { connectLocally, type LocalTestClient, META } from "../support/local-client.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";

let server: TestServer;
let local: LocalServer;
const log: string[] = [];
const clients: LocalTestClient[] = [];

beforeAll(async () => {
  server = await startTestServer({ server: features });
  local = await startLocalServer({
    server: features,
    databaseUrl: server.database.adminUrl,
    mode: "development",
    log: { write: (lines) => void log.push(lines) },
    logLevel: "debug",
  });
});
afterAll(async () => {
  for (const { connection } of clients) await connection.close();
  await local?.close();
  await server?.close();
});

async function connect(as: Parameters<typeof connectLocally>[1] = {}): Promise<LocalTestClient> {
  const client = await connectLocally(local, as);
  clients.push(client);
  return client;
}

/** Changes a tenant's limits, and waits until the instance of the local connections has heard of it. */
async function limit(slug: "globex", limits: object): Promise<void> {
  const heard = (): number => log.join("").split('"event":"configuration"').length;
  const before = heard();
  expect((await server.admin("PATCH", `/tenants/${slug}`, { limits })).status).toBe(200);
  await vi.waitFor(() => expect(heard()).toBeGreaterThan(before), { timeout: 10_000 });
}

const INITIALIZE = {
  protocolVersion: "2025-11-25",
  capabilities: { elicitation: {} },
  clientInfo: { name: "test", version: "1.0.0" },
};

async function begin(as: Parameters<typeof connectLocally>[1] = {}, more = {}): Promise<LocalTestClient> {
  const client = await connect(as);
  await client.askEarlier(0, "initialize", { ...INITIALIZE, ...more });
  client.send({ jsonrpc: "2.0", method: "notifications/initialized" });
  return client;
}

const greet = (name: string) => ({ name: "greet", arguments: { name } });

// ---- who calls -------------------------------------------------------------------------------------------------------

test("the caller is a user of the tenant on the word of whoever started the process, and stands so in the audit trail", async () => {
  const client = await connect({ subject: "ada" });
  const { result } = await client.ask(1, "tools/call", { name: "write" });
  expect(result.content).toEqual([{ type: "text", text: "written" }]);
  const rows = await server.database.admin(
    "SELECT kind, actor, details -> 'access' AS access FROM bulkhead.audit_entries WHERE target = 'write' ORDER BY seq",
  );
  const actor = { kind: "user", subject: "ada", issuer: "stdio", clientId: null };
  const access = { reason: "granted", permission: "things:write", by: "things:write", from: "command line" };
  expect(rows).toEqual(["intent", "outcome"].map((kind) => ({ kind, actor, access })));
});

test("permissions are those of the demonstration user, or those that were given, and otherwise all that the catalog requires", async () => {
  const names = async (client: LocalTestClient): Promise<string[]> =>
    (await client.ask("list", "tools/list")).result.tools.map(({ name }: { name: string }) => name);
  expect(await names(await connect({ subject: "ada-reader" }))).not.toContain("write");
  expect(await names(await connect({ subject: "local" }))).toContain("write");
  const given = await connect({ subject: "ada", permissions: ["things:read"] });
  expect(await names(given)).toContain("greet");
  const { error } = await given.ask(1, "tools/call", { name: "write" });
  expect(error.data).toMatchObject({ code: "scope_insufficient", scopes: ["things:write"] });
});

test("a connection is of its one tenant", async () => {
  const [acme, globex] = [await connect(), await connect({ tenant: "globex", subject: "grace" })];
  expect((await acme.ask(1, "tools/call", greet("you"))).result.structuredContent.tenant).toBe("acme");
  expect((await globex.ask(1, "tools/call", greet("you"))).result.structuredContent.tenant).toBe("globex");
});

// ---- messages ----------------------------------------------------------------------------------------------------------

test("the current generation needs no headers, and nothing before its first request", async () => {
  const client = await connect();
  expect((await client.ask(1, "server/discover")).result.supportedVersions).toEqual(["2026-07-28"]);
  const called = await client.ask("b", "tools/call", greet("you"));
  expect(called).toMatchObject({
    jsonrpc: "2.0",
    id: "b",
    result: { resultType: "complete", structuredContent: { greeting: "Hello, you!", subject: "ada" } },
  });
});

test("what is no message is refused by its code, and the next message is served", async () => {
  const client = await connect();
  const lines: [string | Buffer, number][] = [
    ["{", -32700],
    [Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), -32700],
    ["[]", -32600],
    ['[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]', -32600],
    ['{"jsonrpc":"1.0","id":1,"method":"tools/list"}', -32600],
    ['{"jsonrpc":"2.0","id":null,"method":"tools/list"}', -32600],
    ["null", -32600],
  ];
  for (const [line] of lines) {
    client.input.write(line);
    client.send("\n");
  }
  client.send("\n   \n");
  await client.ask("after", "server/discover");
  await client.until(() => client.received.length === lines.length + 1);
  const refused = client.received.filter(({ id }) => id !== "after");
  expect(refused.map(({ id, error }) => [id, error.code]).toSorted()).toEqual(
    lines.map(([, code]) => [null, code]).toSorted(),
  );
});

test("a request without its envelope, of an unknown version or method is refused as on HTTP", async () => {
  const client = await connect();
  expect((await client.askEarlier(1, "tools/list")).error).toMatchObject({ code: -32602 });
  const version = { "io.modelcontextprotocol/protocolVersion": "2027-01-01" };
  expect((await client.ask(2, "tools/list", { _meta: version })).error).toMatchObject({
    code: -32022,
    data: { supported: ["2026-07-28"], requested: "2027-01-01" },
  });
  expect((await client.ask(3, "tools/run")).error.code).toBe(-32601);
  expect((await client.ask(4, "logging/setLevel", { level: "info" })).error.code).toBe(-32601);
});

test("a message of more bytes than the tenant may send is refused, and the next one is served", async () => {
  await limit("globex", { maxRequestBytes: 2_000 });
  const client = await connect({ tenant: "globex", subject: "grace" });
  client.send(
    `${JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: { x: "x".repeat(3_000) } })}\n`,
  );
  const { error } = await client.until((message) => message.error !== undefined);
  expect(error.data).toMatchObject({ code: "body_too_large", limit: 2_000 });
  expect((await client.ask(2, "tools/call", greet("you"))).result.isError).toBeUndefined();
  await limit("globex", {});
});

test("rates count here as on HTTP", async () => {
  await limit("globex", { requestsPerMinute: 1, burst: 2 });
  const client = await connect({ tenant: "globex", subject: "grace" });
  const answers = [];
  for (const id of [1, 2, 3]) answers.push(await client.ask(id, "tools/list"));
  expect(answers.map(({ error }) => error?.data.code)).toEqual([undefined, undefined, "rate_limited"]);
  await limit("globex", {});
});

test("an id that is under way cannot be used again, and the first request keeps it", async () => {
  const client = await connect();
  const _meta = { ...META, progressToken: 1 };
  client.send({ jsonrpc: "2.0", id: 7, method: "tools/call", params: { name: "wait", _meta } });
  await client.until(({ method }) => method === "notifications/progress");
  client.send({ jsonrpc: "2.0", id: 7, method: "tools/list", params: { _meta: META } });
  const refused = await client.until(({ error }) => error !== undefined);
  expect([refused.id, refused.error.code]).toEqual([null, -32600]);
  client.send({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 7 } });
});

// ---- both directions ---------------------------------------------------------------------------------------------------

test("progress and messages come before the answer, where they were asked for", async () => {
  const client = await connect();
  const _meta = { progressToken: "p", "io.modelcontextprotocol/logLevel": "info" };
  await client.ask(1, "tools/call", { name: "report", _meta });
  expect(client.received.map(({ method, params }) => [method, params?.progress ?? params?.data])).toEqual([
    ["notifications/progress", 1],
    ["notifications/progress", 2],
    ["notifications/progress", 3],
    ["notifications/message", "half way"],
    [undefined, undefined],
  ]);
});

test("a cancelled request is told by its signal, and has no answer", async () => {
  const client = await connect();
  const _meta = { ...META, progressToken: 1 };
  client.send({ jsonrpc: "2.0", id: 7, method: "tools/call", params: { name: "wait", _meta } });
  await client.until(({ method }) => method === "notifications/progress");
  client.send({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 7 } });
  await client.ask(8, "tools/list");
  await vi.waitFor(() => expect(log.join("")).toContain("stopped waiting"));
  expect(client.received.filter(({ id }) => id === 7)).toEqual([]);
});

test("a handler that asks is answered by a second request on the current generation", async () => {
  const client = await connect();
  const first = await client.ask(1, "tools/call", { name: "ask" });
  expect(first.result).toMatchObject({
    resultType: "input_required",
    inputRequests: { who: { method: "elicitation/create" } },
  });
  const answers = { who: { action: "accept", content: { name: "Ada" } } };
  const { requestState } = first.result;
  const second = await client.ask(2, "tools/call", { name: "ask", inputResponses: answers, requestState });
  expect(second.result.content[0].text).toBe("Hello, Ada!");
});

test("subscriptions/listen is acknowledged, told of changes with its id, and ended by its cancellation", async () => {
  const client = await connect();
  const listen = (id: number, notifications: object): void =>
    client.send({
      jsonrpc: "2.0",
      id,
      method: "subscriptions/listen",
      params: { notifications, _meta: META },
    });
  const of = (id: number) => client.received.filter(({ params }) => params?._meta?.[SUBSCRIPTION] === id);
  listen(11, { toolsListChanged: true });
  listen(12, { resourceSubscriptions: ["thing://status", "thing://nowhere/else"] });
  await client.until(() => of(11).length + of(12).length === 2);
  expect(of(12)[0]).toMatchObject({
    method: "notifications/subscriptions/acknowledged",
    params: { notifications: { resourceSubscriptions: ["thing://status"] } },
  });
  await client.ask(13, "tools/call", { name: "change" });
  await client.until(() => of(11).length + of(12).length === 4);
  expect(of(11)[1].method).toBe("notifications/tools/list_changed");
  expect(of(12)[1]).toMatchObject({
    method: "notifications/resources/updated",
    params: { uri: "thing://status" },
  });
  client.send({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 11 } });
  await client.ask(14, "tools/list");
  // By another instance: its signal comes here too.
  await server.admin("PATCH", "/tenants/acme", { toolSets: ["extras"] });
  listen(15, { toolsListChanged: true });
  await client.until(() => of(15).length > 0);
  await client.ask(16, "tools/call", { name: "change" });
  await client.until(() => of(15).length > 1 && of(12).length > 2);
  expect(of(11)).toHaveLength(2);
  await client.connection.close();
  expect(client.received.filter(({ id }) => id === 11)).toEqual([]);
  for (const id of [12, 15]) {
    const last = client.received.find((message) => message.id === id);
    expect(last.result).toMatchObject({ resultType: "complete", _meta: { [SUBSCRIPTION]: id } });
  }
});

const SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId";

// ---- the previous generation -------------------------------------------------------------------------------------------

test.each(["2025-11-25", "2025-06-18", "2025-03-26"])(
  "initialize selects revision %s for the connection",
  async (protocolVersion) => {
    const client = await connect();
    const { result } = await client.askEarlier(0, "initialize", { ...INITIALIZE, protocolVersion });
    expect(result).toMatchObject({
      protocolVersion,
      serverInfo: { name: "features", version: "1.0.0" },
      instructions: "One of each.",
    });
    const called = await client.askEarlier(1, "tools/call", greet("you"));
    expect(called.result).not.toHaveProperty("resultType");
    expect(called.result.content[0].text).toContain("Hello, you!");
    expect((await client.askEarlier(2, "ping")).result).toEqual({});
    expect((await client.askEarlier(3, "server/discover")).error.code).toBe(-32601);
    expect((await client.askEarlier(4, "initialize", INITIALIZE)).error.code).toBe(-32600);
  },
);

test("a request that names the current revision is served as such after initialize as well", async () => {
  const client = await begin();
  expect((await client.ask(1, "tools/call", greet("you"))).result.resultType).toBe("complete");
});

test("a question is a request to the client, and its response ends the wait", async () => {
  const client = await begin();
  const answer = client.askEarlier(1, "tools/call", { name: "ask" });
  const question = await client.until(({ method }) => method === "elicitation/create");
  expect(question.params).toMatchObject({ message: "What is your name?" });
  client.send({ jsonrpc: "2.0", id: "another", result: { action: "cancel" } });
  client.send({ jsonrpc: "2.0", id: question.id, result: { action: "accept", content: { name: "Ada" } } });
  expect((await answer).result.content[0].text).toBe("Hello, Ada!");
});

test("the log level and the subscriptions are the connection's own", async () => {
  const client = await begin();
  const updates = () => client.received.filter(({ method }) => method === "notifications/resources/updated");
  await client.askEarlier(1, "tools/call", { name: "change" });
  await client.until(({ method }) => method === "notifications/tools/list_changed");
  expect(updates()).toEqual([]);
  expect((await client.askEarlier(2, "resources/subscribe", { uri: "thing://status" })).result).toEqual({});
  await client.askEarlier(3, "tools/call", { name: "change" });
  await client.until(() => updates().length === 1);
  expect(updates()[0].params).toEqual({ uri: "thing://status" });
  expect((await client.askEarlier(4, "logging/setLevel", { level: "error" })).result).toEqual({});
  await client.askEarlier(5, "tools/call", { name: "report" });
  expect(client.received.filter(({ method }) => method === "notifications/message")).toEqual([]);
});

test("a batch of 2025-03-26 has one answer, each member its own; other revisions have none", async () => {
  const client = await begin({}, { protocolVersion: "2025-03-26" });
  const call = (id: number, method: string) => ({ jsonrpc: "2.0", id, method });
  client.send([
    call(1, "tools/list"),
    { jsonrpc: "2.0", method: "notifications/initialized" },
    call(2, "nothing"),
    5,
  ]);
  const batch = await client.until(Array.isArray);
  expect(batch.map(({ id, error }: { id: unknown; error?: { code: number } }) => [id, error?.code])).toEqual([
    [1, undefined],
    [2, -32601],
    [null, -32600],
  ]);
  const newer = await begin();
  newer.send([call(1, "tools/list")]);
  expect((await newer.until(({ error }) => error !== undefined)).error.code).toBe(-32600);
});

test("a session that was idle for too long is made again as it was, also where that failed once", async () => {
  const client = await begin({ tenant: "globex", subject: "grace" });
  for (const [id, method, params] of [
    ["s1", "resources/subscribe", { uri: "thing://red" }],
    ["s2", "resources/subscribe", { uri: "thing://status" }],
    ["s3", "resources/subscribe", { uri: "thing://grey" }],
    ["s4", "resources/unsubscribe", { uri: "thing://red" }],
    ["s5", "logging/setLevel", { level: "error" }],
    ["s6", "ping", {}],
  ] as const) {
    expect((await client.askEarlier(id, method, params)).result).toEqual({});
  }
  const { admin } = server.database;
  await admin(
    `CREATE FUNCTION bulkhead.no_more() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no more''; END'`,
  );
  await admin(
    "CREATE TRIGGER no_more BEFORE INSERT ON bulkhead.sessions EXECUTE FUNCTION bulkhead.no_more()",
  );
  await admin(
    "DELETE FROM bulkhead.sessions s USING bulkhead.tenants t WHERE t.id = s.tenant_id AND t.slug = 'globex'",
  );
  let id = 1;
  const ping = async () => (await client.askEarlier(id++, "tools/list")).error?.data.code;
  await expect.poll(ping, { timeout: 15_000 }).toBe("internal");
  await admin("DROP FUNCTION bulkhead.no_more() CASCADE");
  expect(await Promise.all([ping(), ping(), ping()])).toEqual([undefined, undefined, undefined]);
  const rows = await admin(
    `SELECT s.log_level, s.subscriptions FROM bulkhead.sessions s JOIN bulkhead.tenants t ON t.id = s.tenant_id
      WHERE t.slug = 'globex'`,
  );
  expect(rows).toEqual([{ log_level: "error", subscriptions: ["thing://status", "thing://grey"] }]);
  await client.askEarlier("report", "tools/call", { name: "report" });
  await client.askEarlier("change", "tools/call", { name: "change" });
  const updated = await client.until(({ method }) => method === "notifications/resources/updated");
  expect(updated.params).toEqual({ uri: "thing://status" });
  expect(client.received.filter(({ method }) => method === "notifications/message")).toEqual([]);
  await client.connection.close();
});

// ---- the end -----------------------------------------------------------------------------------------------------------

test("the end of the input lets what is under way be answered, and then it is over", async () => {
  const client = await connect();
  client.send({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { ...greet("you"), _meta: META } });
  client.input.end();
  expect(await client.connection.ended).toBe(null);
  expect(client.received.map(({ id }) => id)).toEqual([1]);
});

test("an input that is gone without an end is the end as well", async () => {
  const client = await connect();
  client.input.destroy();
  expect(await client.connection.ended).toBe(null);
});

test("what does not end after the end of the input is cancelled", async () => {
  const client = await connect();
  const _meta = { ...META, progressToken: 1 };
  client.send({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "wait", _meta } });
  await client.until(({ method }) => method === "notifications/progress");
  const started = performance.now();
  client.input.end();
  expect(await client.connection.ended).toBe(null);
  expect(performance.now() - started).toBeLessThan(1_500);
  expect(client.received.filter(({ id }) => id === 1)).toEqual([]);
});

test("a session of the connection is gone with it", async () => {
  const sessions = () =>
    server.database.admin(
      "SELECT 1 FROM bulkhead.sessions s JOIN bulkhead.tenants t ON t.id = s.tenant_id WHERE t.slug = 'globex'",
    );
  const client = await begin({ tenant: "globex", subject: "grace" });
  expect(await sessions()).toHaveLength(1);
  await client.connection.close();
  expect(await sessions()).toEqual([]);
});

test("a client that stops reading is let go, and holds no more than a bounded part of the memory", async () => {
  const client = await connect();
  client.output.pause();
  client.output.removeAllListeners("data");
  const params = { name: "bulk", _meta: META };
  for (let id = 1; id <= 15; id++) client.send({ jsonrpc: "2.0", id, method: "tools/call", params });
  expect(await client.connection.ended).toBe(null);
  expect(client.output.readableLength + client.output.writableLength).toBeLessThan(80_000_000);
});

test("a tenant that is suspended ends its connection, and no other's, with the reason", async () => {
  const client = await connect({ tenant: "globex", subject: "grace" });
  const other = await connect();
  const _meta = { ...META, progressToken: 1 };
  client.send({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "wait", _meta } });
  await client.until(({ method }) => method === "notifications/progress");
  await server.admin("POST", "/tenants/globex/suspend");
  expect(await client.connection.ended).toMatchObject({ code: "tenant_suspended" });
  expect(client.received.find(({ id }) => id === 1).error.data.code).toBe("credentials_ended");
  expect((await other.ask(1, "tools/call", greet("you"))).result.isError).toBeUndefined();
  await expect(connect({ tenant: "globex" })).rejects.toMatchObject({ code: "tenant_suspended" });
  await expect(connect({ tenant: "nobody" })).rejects.toMatchObject({ code: "tenant_not_found" });
  await server.admin("POST", "/tenants/globex/resume");
});
