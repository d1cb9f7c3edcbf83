import { request } from "node:http";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { AdminApiOptions, AdminRequest } from "../../src/admin/admin-api.ts";
import { createAdminCallers } from "../../src/admin/admin-callers.ts";
import type { ErrorCode } from "../../src/core/error-table.ts";
import { Fault } from "../../src/core/fault.ts";
import { createIdSource } from "../../src/core/ids.ts";
import { isRefusal, type Refusal, refuse } from "../../src/core/refusal.ts";
import type { Caller } from "../../src/identity/caller.ts";
import { PROOF_ALGORITHMS } from "../../src/identity/dpop-proof.ts";
import { createOperatorGate } from "../../src/identity/operator-gate.ts";
import { createAddressLimiter } from "../../src/limits/address-limiter.ts";
import { createTenantRateLimiter } from "../../src/limits/tenant-rate-limiter.ts";
import type { Principal } from "../../src/tenancy/principal.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { tenantSnapshot } from "../support/tenant-snapshot.ts";
import { type AdminServer, OPERATOR_TOKEN, startAdminServer } from "./admin-server.ts";
import { ADMINISTRATOR } from "./callers.ts";

let database: TestDatabase;
const servers: AdminServer[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
});
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});
afterAll(() => database.drop());

const start = async (authenticate: AdminApiOptions["authenticate"]): Promise<AdminServer> => {
  const server = await startAdminServer(database.system, undefined, { authenticate });
  servers.push(server);
  return server;
};

describe("the port that says who asks", () => {
  it.each([
    ["/tenants/acme", "acme"],
    ["/tenants/acme/keys?limit=1", "acme"],
    ["/tenants/acme?x=/tenants/globex", "acme"],
    ["/tenants/tnt_01j9zq4v8k3f6r2m7w5x1c0bde", "tnt_01j9zq4v8k3f6r2m7w5x1c0bde"],
    ["/tenants/%61cme", null],
    ["/tenants/acme%2f", null],
    ["/tenants/ACME", null],
    ["/tenants/acme;x", null],
    ["/tenants/", null],
    ["/tenants", null],
    ["/tenants//acme", null],
    ["/Tenants/acme", null],
    ["//tenants/acme", null],
    ["/x/../tenants/acme", null],
    ["/plans/acme", null],
    ["/no-such?y=/admin/v1/tenants/acme", null],
  ])("is told of %s that its tenant is %s, as it was sent", async (path, expected) => {
    const seen: [AdminRequest, string | null][] = [];
    const server = await start(async (asked, name) => {
      seen.push([asked, name]);
      return refuse("operator_token_required");
    });
    const status = await new Promise((resolve, reject) => {
      const sending = request({
        port: server.port,
        host: "127.0.0.1",
        path: `/admin/v1${path}`,
        method: "DELETE",
      });
      sending.setHeader("Authorization", ["Bearer one", "Bearer two"]);
      sending.on("error", reject);
      sending.on("response", (answer) => resolve(answer.resume().statusCode));
      sending.end();
    });
    expect(status).toBe(401);
    expect(seen).toHaveLength(1);
    const [asked, name] = seen[0] ?? [];
    expect(name).toBe(expected);
    expect(asked).toMatchObject({ url: `/admin/v1${path}`, method: "DELETE", address: "127.0.0.1" });
    expect(asked?.rawHeaders.filter((text) => text.startsWith("Bearer"))).toEqual([
      "Bearer one",
      "Bearer two",
    ]);
  });

  it.each<[Refusal, number, Record<string, string | null>]>([
    [refuse("operator_token_required"), 401, { "www-authenticate": "Bearer" }],
    [
      refuse("dpop_proof_invalid", { schemes: ["Bearer", "DPoP"] }),
      401,
      {
        "www-authenticate": `Bearer, DPoP error="invalid_dpop_proof", algs="${PROOF_ALGORITHMS.join(" ")}"`,
      },
    ],
    [refuse("credentials_malformed"), 400, { "www-authenticate": null }],
    [refuse("administrator_required"), 403, { "www-authenticate": null, "retry-after": null }],
    [refuse("tenant_suspended"), 403, { "www-authenticate": null }],
    [refuse("rate_limited", { retryAfterMs: 2_500 }), 429, { "retry-after": "3" }],
    [refuse("keys_unavailable"), 503, { "retry-after": "1" }],
    [refuse("introspection_unavailable", { retryAfterMs: 60_000 }), 503, { "retry-after": "60" }],
  ])("refuses as it says: %j", async (refusal, status, headers) => {
    const server = await start(async () => ({ ...refusal, cause: "of internal interest" }));
    for (const path of ["/tenants/acme", "/no/such/route"]) {
      const answer = await server.call("POST", path, { body: "{" });
      expect(answer.status).toBe(status);
      expect(answer.headers.get("content-type")).toBe("application/problem+json");
      expect(answer.headers.get("cache-control")).toBe("no-store");
      for (const [name, value] of Object.entries(headers)) expect(answer.headers.get(name)).toBe(value);
      expect(answer.body).toMatchObject({ code: refusal.code, status });
      expect(JSON.stringify(answer.body)).not.toMatch(/internal interest|data\.limit/);
    }
    for (const event of server.events) {
      expect(event).toMatchObject({ type: "refusal", code: refusal.code, cause: "of internal interest" });
    }
    expect(server.events).toHaveLength(2);
  });

  it.each([
    [new Fault("database_unavailable", { detail: "10.0.0.7 refused" }), 503, "database_unavailable"],
    [new Error("secret of the authenticator"), 500, "internal"],
  ])("may fail: %s", async (cause, status, code) => {
    const server = await start(() => Promise.reject(cause));
    const answer = await server.call("GET", "/tenants");
    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject({ code });
    expect(answer.headers.get("retry-after")).toBe(status === 503 ? "1" : null);
    expect(JSON.stringify(answer.body)).not.toMatch(/10\.0\.0\.7|secret/);
    expect(server.events).toMatchObject([{ type: "fault", level: "error", where: "admin", cause }]);
  });

  it("lets nothing happen for a client that has gone before it answers", async () => {
    let asked = (): void => {};
    const began = new Promise<void>((resolve) => {
      asked = resolve;
    });
    let answer = (): void => {};
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    let over = (): void => {};
    const finished = new Promise<void>((resolve) => {
      over = resolve;
    });
    const server = await start(async ({ method }) => {
      if (method === "DELETE") {
        asked();
        await answered;
        setImmediate(over);
      }
      return { kind: "operator" };
    });
    await server.call("PUT", "/plans/kept", { body: {} });
    server.takeActs();
    const sending = request({
      port: server.port,
      host: "127.0.0.1",
      path: "/admin/v1/plans/kept",
      method: "DELETE",
    });
    const gone = new Promise((resolve) => sending.on("error", resolve));
    sending.end();
    await began;
    sending.destroy();
    await gone;
    // A whole request and its answer later the server has heard of it.
    await server.call("GET", "/plans");
    answer();
    await finished;
    expect((await server.call("GET", "/plans/kept")).status).toBe(200);
    expect(server.takeActs().map(({ action }) => action)).toEqual(["plans.list", "plans.get"]);
  });
});

describe("callers of the admin API", () => {
  const clock = { now: () => 0, monotonic: () => 0 };
  const snapshot = tenantSnapshot("acme", { limits: { requestsPerMinute: 60, burst: 2 } });
  const principal: Principal = {
    ...ADMINISTRATOR,
    tenantId: snapshot.id,
    permissions: new Set(["admin"]),
    roles: [],
    expiresAt: 1,
  };
  const caller: Caller = {
    snapshot,
    principal,
    credential: { kind: "key", keyId: createIdSource(clock.now).apiKey(), expiresAt: 1 },
    scopes: principal.permissions,
  };
  const callers = (administrator: Refusal | "acme", calls: { made: number } = { made: 0 }) =>
    createAdminCallers({
      gate: createOperatorGate(OPERATOR_TOKEN),
      authenticator: {
        administrator: async ({ flooding }) => {
          if (flooding !== null) return flooding;
          calls.made++;
          return administrator === "acme" ? caller : administrator;
        },
      },
      addresses: createAddressLimiter(clock),
      rates: createTenantRateLimiter(clock),
    });
  const sent = (...authorization: string[]): AdminRequest => ({
    rawHeaders: ["Host", "localhost", ...authorization.flatMap((value) => ["authoriZation", value])],
    url: "/admin/v1/tenants",
    method: "GET",
    address: "192.0.2.1",
  });
  const codeOf = (answer: object): ErrorCode | null => (isRefusal(answer) ? answer.code : null);
  const OPERATOR = sent(`Bearer ${OPERATOR_TOKEN}`);

  it("are the operator by the operator token, alone in its header", async () => {
    const authenticate = callers(refuse("operator_token_required"));
    expect(await authenticate(OPERATOR, null)).toEqual({ kind: "operator" });
    for (const other of [
      sent(`Bearer ${OPERATOR_TOKEN}`, `Bearer ${OPERATOR_TOKEN}`),
      sent(`Bearer ${OPERATOR_TOKEN}`, "Bearer other"),
      sent("Bearer other", `Bearer ${OPERATOR_TOKEN}`),
      { ...sent(), rawHeaders: ["X-Authorization", `Bearer ${OPERATOR_TOKEN}`] },
      { ...sent(), rawHeaders: ["Cookie", "authorization", `Bearer ${OPERATOR_TOKEN}`, "x"] },
      sent(),
    ]) {
      expect(codeOf(await authenticate(other, null))).toBe("operator_token_required");
    }
  });

  it("are a tenant's administrator, until its rate is used up", async () => {
    const authenticate = callers("acme");
    for (let i = 0; i < 2; i++) {
      expect(await authenticate(sent("Bearer t"), null)).toEqual({ kind: "tenant", ...caller });
    }
    expect(await authenticate(sent("Bearer t"), null)).toMatchObject({
      code: "rate_limited",
      retryAfterMs: 1_000,
    });
    expect(await authenticate(OPERATOR, null)).toEqual({ kind: "operator" });
  });

  it.each([
    "operator_token_required",
    "token_invalid",
    "credentials_malformed",
    "dpop_proof_invalid",
  ] as const)(
    "get nothing looked at any more from an address with a thousand times %s, but for the operator",
    async (code) => {
      const calls = { made: 0 };
      const authenticate = callers(refuse(code), calls);
      for (let i = 0; i < 1_000; i++) await authenticate(sent("Bearer t"), null);
      expect(calls.made).toBe(1_000);
      expect(codeOf(await authenticate(sent("Bearer t"), null))).toBe("rate_limited");
      expect(calls.made).toBe(1_000);
      expect(await authenticate(OPERATOR, null)).toEqual({ kind: "operator" });
      const elsewhere = { ...sent("Bearer t"), address: "192.0.2.2" };
      expect(codeOf(await authenticate(elsewhere, null))).toBe(code);
    },
  );

  it.each(["administrator_required", "tenant_suspended", "keys_unavailable"] as const)(
    "cost their address nothing by %s",
    async (code) => {
      const authenticate = callers(refuse(code));
      for (let i = 0; i < 1_001; i++) {
        expect(codeOf(await authenticate(sent("Bearer t"), null))).toBe(code);
      }
    },
  );
});
