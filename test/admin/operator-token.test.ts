import { connect } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createAdminApi } from "../../src/admin/admin-api.ts";
import { refuse } from "../../src/core/refusal.ts";
import type { SystemDoor } from "../../src/data/system-door.ts";
import { createOperatorGate } from "../../src/identity/operator-gate.ts";
import { createTestDatabase } from "../support/database.ts";
import { type AdminServer, OPERATOR_TOKEN, startAdminServer } from "./admin-server.ts";

let database: { readonly system: SystemDoor; drop(): Promise<void> };
let server: AdminServer;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startAdminServer(database.system);
});
afterAll(async () => {
  await server.close();
  await database.drop();
});
beforeEach(() => {
  server.events.length = 0;
});

const REFUSED = {
  type: "urn:bulkhead:error:operator_token_required",
  title: "An operator's or a tenant administrator's token is required.",
  status: 401,
  detail: "An operator's or a tenant administrator's token is required.",
  code: "operator_token_required",
  remedy:
    "Send the operator token, or an access token with the permission admin of the tenant's own issuer, as Authorization: Bearer.",
};

describe("without the operator token", () => {
  const routes = [
    ["GET", "/tenants"],
    ["POST", "/tenants"],
    ["GET", "/tenants/acme"],
    ["PATCH", "/tenants/acme"],
    ["DELETE", "/tenants/acme"],
    ["POST", "/tenants/acme/suspend"],
    ["POST", "/tenants/acme/resume"],
    ["GET", "/plans"],
    ["GET", "/plans/free"],
    ["PUT", "/plans/free"],
    ["DELETE", "/plans/free"],
    ["GET", "/no/such/route"],
    ["GET", ""],
    ["OPTIONS", "/tenants"],
    ["POST", "/openapi.json"],
    ["GET", "/openapi.json/"],
    ["GET", "/x/%2e%2e/openapi.json%2f"],
  ] as const;
  it.each(routes)("%s %s is refused, and is no administrative act", async (method, path) => {
    const answer = await server.call(method, path, { token: null });
    expect(answer.status).toBe(401);
    expect(answer.headers.get("www-authenticate")).toBe("Bearer");
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(answer.body).toEqual(REFUSED);
    expect(server.events).toEqual([
      {
        type: "refusal",
        at: expect.any(Number),
        tenantId: null,
        stage: "identity",
        code: "operator_token_required",
      },
    ]);
  });

  it.each(["wrong", `${OPERATOR_TOKEN}x`, OPERATOR_TOKEN.slice(0, -1), OPERATOR_TOKEN.toUpperCase()])(
    "the token %s is refused",
    async (token) => {
      expect((await server.call("GET", "/tenants", { token })).status).toBe(401);
    },
  );

  it.each([
    "",
    "Bearer",
    "Bearer ",
    OPERATOR_TOKEN,
    `Basic ${OPERATOR_TOKEN}`,
    `Bearer ${OPERATOR_TOKEN}, Bearer ${OPERATOR_TOKEN}`,
    `Bearer\u00a0${OPERATOR_TOKEN}`,
  ])("the header value %j is refused", async (authorization) => {
    expect((await server.call("GET", "/plans", { token: null, headers: { authorization } })).status).toBe(
      401,
    );
  });

  it("the answer comes before the body has been sent", async () => {
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
      "POST /admin/v1/tenants HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{",
    );
    const text = await received;
    expect(text).toMatch(/^HTTP\/1\.1 401 /);
    expect(text).toMatch(/\r\nConnection: close\r\n/);
  });
});

describe("with the operator token", () => {
  it("the scheme's case does not matter (RFC 9110, section 11.1)", async () => {
    const authorization = `bEARER ${OPERATOR_TOKEN}`;
    expect((await server.call("GET", "/plans", { token: null, headers: { authorization } })).status).toBe(
      200,
    );
  });

  it("an unknown route is not found", async () => {
    const answer = await server.call("GET", "/no/such/route");
    expect(answer.status).toBe(404);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(answer.body).toMatchObject({ code: "route_unknown", status: 404 });
    expect(server.events).toMatchObject([{ type: "refusal", stage: "http", code: "route_unknown" }]);
  });

  it("a method that a route does not have is refused with those that it has", async () => {
    const answer = await server.call("PUT", "/tenants/acme", { body: {} });
    expect(answer.status).toBe(405);
    expect(answer.headers.get("allow")).toBe("GET, HEAD, PATCH, DELETE");
    expect(answer.body).toMatchObject({ code: "method_not_allowed", status: 405 });
  });

  it("no answer may be kept by a cache", async () => {
    expect((await server.call("GET", "/tenants")).headers.get("cache-control")).toBe("no-store");
  });
});

it("a token that could be guessed, or that no header can carry, is refused at start", () => {
  for (const token of ["", "short", "x".repeat(31), `${"x".repeat(40)} `, `${"x".repeat(40)}é`]) {
    expect(() => createOperatorGate(token)).toThrowError(
      expect.objectContaining({ code: "setting_invalid" }),
    );
  }
  expect(createOperatorGate(undefined)).toMatchObject({ configured: false });
  expect(createOperatorGate(undefined).admits("Bearer undefined")).toBe(false);
});

it("the process keeps its own Request and Response", () => {
  const before = [globalThis.Request, globalThis.Response];
  createAdminApi({
    authenticate: async () => refuse("operator_token_required"),
    random: () => new Uint8Array(),
    issuers: {} as never,
    accessPorts: {} as never,
    development: null,
    administration: {} as never,
    ids: {} as never,
    clock: { now: () => 0, monotonic: () => 0 },
    emit: () => {},
    mcpUrlOf: () => "",
    refusedMeanwhile: async () => null,
    bodyTimeoutMs: 1,
    afterChange: () => Promise.resolve(),
  });
  expect([globalThis.Request, globalThis.Response]).toEqual(before);
  expect(globalThis.Request).toBe(before[0]);
});
