import { connect } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ADMIN_OPERATIONS, DEVELOPMENT_OPERATIONS } from "../../src/admin/admin-operations.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type AdminAnswer, type AdminCall, type AdminServer, startAdminServer } from "./admin-server.ts";
import { ADMINISTRATOR, administratorOf, callersByName } from "./callers.ts";

let database: TestDatabase;
let server: AdminServer;
let acme: string;
let globex: string;

const ACME = { token: administratorOf("acme") };
/** These tests ask more than the rate of a plan. */
const UNHURRIED = { requestsPerMinute: null };
const OPERATIONS = [...ADMIN_OPERATIONS, ...DEVELOPMENT_OPERATIONS];

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startAdminServer(database.system, undefined, {
    authenticate: callersByName(database.system),
    development: { issueDevelopmentToken: () => Promise.reject(new TypeError("nobody may come here")) },
  });
  const made = async (slug: string): Promise<string> =>
    String(
      (await server.call("POST", "/tenants", { body: { slug, name: slug, limits: UNHURRIED } })).body.id,
    );
  acme = await made("acme");
  globex = await made("globex");
});
afterAll(async () => {
  await server.close();
  await database.drop();
});
beforeEach(() => {
  server.events.length = 0;
});

/** A path of an operation: its tenant, and for any other parameter a name that fits nothing. */
const pathOf = (path: string, tenant: string): string =>
  path.replace("{t}", tenant).replaceAll(/\{\w+\}/g, "nothing-of-this-name");

/** An answer without what differs between any two requests. */
const comparable = ({ status, headers, body: { operationId, ...body } }: AdminAnswer) => ({
  status,
  body,
  operationId: typeof operationId,
  headers: Object.fromEntries([...headers].filter(([name]) => name !== "date")),
});

describe("every operation, asked by an administrator of acme", () => {
  const ofTenants = OPERATIONS.filter(({ path }) => path.includes("{t}")).map(
    (operation) => [operation.action, operation] as const,
  );
  const bodies: readonly AdminCall[] = [
    {},
    { body: {} },
    { body: "{" },
    { body: "text", headers: { "Content-Type": "text/plain" } },
    { headers: { "If-Match": "not an entity tag" } },
  ];

  it.each(ofTenants)("%s answers for globex as for a tenant that does not exist", async (_action, of) => {
    const method = of.method.toUpperCase();
    const names = [
      "nobody",
      "globex",
      globex,
      "%67lobex",
      "globe%78",
      "Not%20A%20Tenant",
      "acme%00",
      "acme.",
      "ACME",
    ];
    for (const call of method === "GET" ? [{}] : bodies) {
      const answers = await Promise.all(
        names.map((name) => server.call(method, pathOf(of.path, name), { ...ACME, ...call })),
      );
      const [unknown, ...others] = answers.map(comparable);
      expect(unknown).toMatchObject({ status: 404, body: { code: "tenant_not_found" } });
      for (const other of others) expect(other).toEqual(unknown);
    }
    if (method === "GET") {
      const path = pathOf(of.path, "globex");
      expect((await server.call("HEAD", path, ACME)).status).toBe(404);
    }
  });

  it.each(ofTenants)("%s answers as it would the operator about nobody", async (_action, of) => {
    // Only where the operator's request is not refused for what else it says or lacks.
    if (of.request.body !== undefined || of.request.query !== undefined || /\{(?!t\})/.test(of.path)) return;
    const method = of.method.toUpperCase();
    const asked = await server.call(method, pathOf(of.path, "globex"), ACME);
    const operators = await server.call(method, pathOf(of.path, "nobody"));
    expect(asked.body).toEqual({ ...operators.body, operationId: asked.body.operationId });
    expect(asked.status).toBe(operators.status);
  });

  const ofOperator = OPERATIONS.filter(({ access }) => access === "operator").map(
    (operation) => [operation.action, operation] as const,
  );
  it.each(ofOperator)("%s is the operator's alone", async (action, of) => {
    const method = of.method.toUpperCase();
    for (const name of ["acme", acme, "%61cme"]) {
      for (const call of method === "GET" ? [{}] : bodies) {
        const answer = await server.call(method, pathOf(of.path, name), { ...ACME, ...call });
        expect(answer.status).toBe(403);
        expect(answer.body).toMatchObject({
          code: "operator_only",
          detail: "Only the operator may do this.",
        });
      }
    }
    expect(server.changes()).toBe(2);
    for (const act of server.takeActs()) {
      expect(act).toMatchObject({ action, actor: ADMINISTRATOR, tenantId: acme, outcome: "refused" });
    }
  });

  const ofAcme = OPERATIONS.filter(({ access }) => access === "tenant").map(
    (operation) => [operation.action, operation] as const,
  );
  it.each(ofAcme)("%s is let through for acme, by slug and id", async (_action, of) => {
    for (const name of ["acme", acme]) {
      // Without a body, or with one that no operation takes: refused for that at most, and nothing is changed.
      const options = of.method === "get" || of.method === "delete" ? {} : { body: [] };
      const answer = await server.call(of.method.toUpperCase(), pathOf(of.path, name), {
        ...ACME,
        ...options,
      });
      expect(answer.body.code).not.toBe("tenant_not_found");
      expect([401, 403, 405, 500]).not.toContain(answer.status);
    }
  });

  it("only the list of tenants has no tenant in its path", () => {
    // Whoever adds another: nothing but the operation itself keeps it to its caller's tenant.
    const without = OPERATIONS.filter(
      ({ access, path }) => access === "tenant" && !/^\/tenants\/\{t\}(\/|$)/.test(path),
    );
    expect(without.map(({ action }) => action)).toEqual(["tenants.list"]);
  });

  it("has changed nothing of globex", async () => {
    const { body } = await server.call("GET", "/tenants/globex");
    expect(body).toMatchObject({ id: globex, version: 1, status: "active" });
  });
});

describe("an administrator of acme", () => {
  it("reads acme", async () => {
    const answer = await server.call("GET", "/tenants/acme", ACME);
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ id: acme, slug: "acme" });
    expect(server.takeActs()).toMatchObject([
      { action: "tenants.get", actor: ADMINISTRATOR, tenantId: acme, target: "acme", outcome: "ok" },
    ]);
  });

  it("sees acme alone in the list of tenants, whatever the page", async () => {
    const first = await server.call("GET", "/tenants?limit=1");
    const cursors = [undefined, String(first.body.nextCursor)];
    const page = async (query: string): Promise<Record<string, unknown>> => {
      const answer = await server.call("GET", `/tenants${query}`, ACME);
      expect(answer.status).toBe(200);
      return answer.body;
    };
    for (const query of ["", "?limit=1", "?limit=200"]) {
      expect(await page(query)).toEqual({ items: [expect.objectContaining({ id: acme, slug: "acme" })] });
    }
    expect(await page(`?cursor=${cursors[1]}`)).toEqual({ items: [] });
    const globexs = await server.call("GET", "/tenants", { token: administratorOf("globex") });
    expect(globexs.body).toEqual({ items: [expect.objectContaining({ id: globex })] });
    expect((await server.call("GET", "/tenants?limit=0", ACME)).status).toBe(400);
    const acts = server.takeActs().filter(({ actor }) => actor.kind !== "operator");
    expect(acts.map(({ tenantId }) => tenantId)).toEqual([acme, acme, acme, acme, globex, acme]);
  });

  it.each([
    [{ roles: { agent: ["tickets:read"] } }],
    [{ scopes: ["tickets:read"] }],
    [{ apiKeys: true }],
    [{ dpop: "allow" }],
    [{ roles: {}, scopes: [], apiKeys: false, dpop: "off" }],
  ])("may change acme by %j", async (body) => {
    const answer = await server.call("PATCH", "/tenants/acme", { ...ACME, body });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject(body);
    expect(server.takeActs()).toMatchObject([
      { action: "tenants.change", actor: ADMINISTRATOR, tenantId: acme, target: "acme", outcome: "ok" },
    ]);
  });

  it.each([
    [{ name: "Mine" }, "name"],
    [{ plan: "enterprise" }, "plan"],
    [{ plan: "no-such-plan" }, "plan"],
    [{ limits: { requestsPerMinute: null } }, "limits"],
    [{ toolSets: null }, "toolSets"],
    [{ settings: {} }, "settings"],
    [{ scopes: [], settings: {}, plan: "enterprise" }, "plan, settings"],
  ])("may not change acme by %j", async (body, members) => {
    const before = await server.call("GET", "/tenants/acme");
    server.takeActs();
    const changes = server.changes();
    const answer = await server.call("PATCH", "/tenants/acme", { ...ACME, body });
    expect(answer.status).toBe(403);
    expect(answer.body).toMatchObject({
      code: "operator_only",
      detail: `Only the operator may send ${members}.`,
    });
    expect(server.takeActs()).toMatchObject([
      { action: "tenants.change", actor: ADMINISTRATOR, tenantId: acme, outcome: "refused" },
    ]);
    expect((await server.call("GET", "/tenants/acme")).body).toEqual(before.body);
    expect(server.changes()).toBe(changes);
  });

  it("is told what is not valid in words of the schema alone", async () => {
    const body = { id: "tnt_x", "made up": 1 };
    const answer = await server.call("PATCH", "/tenants/acme", { ...ACME, body });
    expect(answer.body).toMatchObject({ status: 400, code: "input_invalid" });
    expect(server.takeActs()).toMatchObject([{ tenantId: acme, actor: ADMINISTRATOR, outcome: "refused" }]);
  });

  it.each([
    ["GET", "/no/such/route", 404],
    ["GET", "/tenants/acme/no-such", 404],
    ["GET", "/tenants/globex/no-such", 404],
    ["GET", "/tenants/nobody/no-such", 404],
    ["PUT", "/tenants/acme", 405],
    ["PUT", "/tenants/globex", 405],
    ["PUT", "/tenants/nobody", 405],
    ["POST", "/plans", 405],
  ])("%s %s answers as it does the operator", async (method, path, status) => {
    const mine = await server.call(method, path, ACME);
    const [event] = server.events;
    const operators = await server.call(method, path);
    expect(mine.status).toBe(status);
    expect(comparable(mine)).toEqual(comparable(operators));
    expect(event).toMatchObject({ type: "refusal", stage: "http", tenantId: acme });
    expect(server.events[1]).toMatchObject({ type: "refusal", stage: "http", tenantId: null });
  });

  it.each([
    ["PATCH", "/tenants/globex", "404"],
    ["PUT", "/plans/free", "403"],
    ["POST", "/tenants/acme/suspend", "403"],
  ])("is refused %s %s before the body, too large besides, has been sent", async (method, path, status) => {
    const socket = connect(server.port, "127.0.0.1");
    const received = new Promise<string>((resolve, reject) => {
      let text = "";
      socket.setEncoding("utf8");
      socket.on("data", (chunk: string) => {
        text += chunk;
      });
      socket.on("close", () => resolve(text));
      socket.on("error", reject);
    });
    socket.write(
      `${method} /admin/v1${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${ACME.token}\r\n` +
        "Content-Type: application/json\r\nContent-Length: 300000\r\n\r\n{",
    );
    const text = await received;
    expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(text).toMatch(/\r\nconnection: close\r\n/i);
  });
});

describe("what an administrator of acme does", () => {
  it("is on record as acme's, with whom it was about where that is a name", async () => {
    const calls = ["globex", globex, "nobody", "Not%20A%20Tenant"];
    for (const name of calls) await server.call("GET", `/tenants/${name}`, ACME);
    expect(server.takeActs()).toMatchObject(
      ["globex", globex, "nobody", null].map((target) => ({
        action: "tenants.get",
        actor: ADMINISTRATOR,
        tenantId: acme,
        target,
        outcome: "refused",
        code: "tenant_not_found",
      })),
    );
  });

  it("is the operator's where the operator does it", async () => {
    await server.call("GET", "/tenants/acme");
    await server.call("GET", "/tenants/nobody");
    expect(server.takeActs()).toMatchObject([
      { actor: { kind: "operator", subject: "operator" }, tenantId: acme, outcome: "ok" },
      { actor: { kind: "operator", subject: "operator" }, tenantId: null, outcome: "refused" },
    ]);
  });
});
