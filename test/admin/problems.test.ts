import { Agent, type ClientRequest, type IncomingMessage, request } from "node:http";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { AdminApiOptions } from "../../src/admin/admin-api.ts";
import type { Administration } from "../../src/admin/administration.ts";
import { Fault } from "../../src/core/fault.ts";
import type { SystemDoor } from "../../src/data/system-door.ts";
import { createTestDatabase } from "../support/database.ts";
import { type AdminServer, OPERATOR_TOKEN, startAdminServer } from "./admin-server.ts";

let database: { readonly system: SystemDoor; drop(): Promise<void> };
const servers: AdminServer[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
});
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});
afterAll(() => database.drop());

const start = async (
  alter?: (administration: Administration) => Administration,
  ports?: Partial<AdminApiOptions>,
): Promise<AdminServer> => {
  const server = await startAdminServer(database.system, alter, ports);
  servers.push(server);
  return server;
};

describe("a problem", () => {
  it("has exactly the members of the document", async () => {
    const server = await start();
    const answer = await server.call("GET", "/tenants/nobody");
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(answer.body).toEqual({
      type: "urn:bulkhead:error:tenant_not_found",
      title: "There is no such tenant.",
      status: 404,
      detail: "There is no such tenant.",
      code: "tenant_not_found",
      remedy: "GET /admin/v1/tenants lists the tenants.",
      operationId: server.takeActs()[0]?.operationId,
    });
  });

  it.each([
    ["{", "application/json"],
    ["", "application/json"],
    ["\ufeffx", "application/json"],
  ])("says that the body %j is not JSON", async (body, type) => {
    const server = await start();
    const answer = await server.call("POST", "/tenants", { body, headers: { "Content-Type": type } });
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ code: "input_invalid" });
    expect(server.takeActs()).toMatchObject([{ outcome: "refused", code: "input_invalid" }]);
  });

  it.each(["text/plain", "application/x-www-form-urlencoded", "application/jsonx"])(
    "says that the media type %s is refused",
    async (type) => {
      const server = await start();
      const answer = await server.call("POST", "/tenants", {
        body: { slug: "acme", name: "Acme" },
        headers: { "Content-Type": type },
      });
      expect(answer.status).toBe(415);
      expect(answer.body).toMatchObject({ code: "media_type_refused" });
      expect(server.takeActs()).toMatchObject([{ outcome: "refused", code: "media_type_refused" }]);
    },
  );

  it("says that the request cannot be read where its Host is malformed", async () => {
    const server = await start();
    const answer = await new Promise<{ status: number | undefined; type: string | undefined }>(
      (resolve, reject) => {
        const headers = { authorization: `Bearer ${OPERATOR_TOKEN}`, host: "not a host" };
        const sending = request({ port: server.port, host: "127.0.0.1", path: "/admin/v1/plans", headers });
        sending.on("error", reject);
        sending.on("response", (received) => {
          received.resume();
          resolve({ status: received.statusCode, type: received.headers["content-type"] });
        });
        sending.end();
      },
    );
    expect(answer).toEqual({ status: 400, type: "application/problem+json" });
    expect(server.events).toMatchObject([{ type: "refusal", stage: "http", code: "input_invalid" }]);
  });

  it("says what went wrong inside to the log alone", async () => {
    const cause = new Error("secret of the database");
    const server = await start((administration) => ({
      ...administration,
      tenant: () => Promise.reject(cause),
    }));
    const answer = await server.call("GET", "/tenants/acme");
    expect(answer.status).toBe(500);
    expect(answer.body).toMatchObject({ code: "internal", operationId: expect.stringMatching(/^op_/) });
    expect(JSON.stringify(answer.body)).not.toContain("secret");
    expect(server.takeActs()).toMatchObject([
      { action: "tenants.get", outcome: "failed", code: "internal", cause },
    ]);
  });

  it("says when to come back while the database is away", async () => {
    const fault = new Fault("database_unavailable", { detail: "10.0.0.7:5432 refused" });
    const server = await start((administration) => ({
      ...administration,
      listTenants: () => Promise.reject(fault),
    }));
    const answer = await server.call("GET", "/tenants");
    expect(answer.status).toBe(503);
    expect(answer.headers.get("retry-after")).toBe("1");
    expect(answer.body).toMatchObject({ code: "database_unavailable" });
    expect(JSON.stringify(answer.body)).not.toContain("10.0.0.7");
    expect(server.takeActs()).toMatchObject([{ outcome: "failed", code: "database_unavailable" }]);
  });
});

describe("a body", () => {
  const chunked = (server: AdminServer, path: string, chunks: readonly string[]) =>
    new Promise<{ status: number; body: Record<string, unknown> }>((resolve, reject) => {
      const sending = request({
        port: server.port,
        host: "127.0.0.1",
        method: "POST",
        path: `/admin/v1${path}`,
        headers: {
          authorization: `Bearer ${OPERATOR_TOKEN}`,
          "content-type": "application/json",
          "transfer-encoding": "chunked",
        },
      });
      sending.on("error", reject);
      sending.on("response", (answer) => {
        let text = "";
        answer.setEncoding("utf8");
        answer.on("data", (chunk: string) => {
          text += chunk;
        });
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body: JSON.parse(text) }));
      });
      for (const chunk of chunks) sending.write(chunk);
      sending.end();
    });
  const padded = (slug: string, bytes: number): string => {
    const body = JSON.stringify({ slug, name: "Padded" });
    return body + " ".repeat(bytes - body.length);
  };

  it("of 256 KB is read", async () => {
    const server = await start();
    expect((await server.call("POST", "/tenants", { body: padded("just-fits", 262_144) })).status).toBe(201);
  });

  it("of more is refused", async () => {
    const server = await start();
    const answer = await server.call("POST", "/tenants", { body: padded("too-large", 262_145) });
    expect(answer.status).toBe(413);
    expect(answer.body).toMatchObject({ code: "input_too_large", status: 413 });
    expect(server.takeActs()).toMatchObject([
      { action: "tenants.create", outcome: "refused", code: "input_too_large" },
    ]);
  });

  it("of unknown length is read up to the same bound", async () => {
    const server = await start();
    const fits = padded("chunked-fits", 262_144);
    expect((await chunked(server, "/tenants", [fits.slice(0, 100_000), fits.slice(100_000)])).status).toBe(
      201,
    );
    const large = await chunked(server, "/tenants", [padded("chunked-large", 262_144), " "]);
    expect(large.status).toBe(413);
    expect(large.body).toMatchObject({ code: "input_too_large" });
  });

  describe("that does not come whole", () => {
    /** Sends a body's beginning, and goes on as `then` does. */
    const begin = (
      server: AdminServer,
      length: Record<string, string>,
      then: (sending: ClientRequest) => void,
    ) =>
      new Promise<{ answer: IncomingMessage; body: Record<string, unknown> } | Error>((resolve) => {
        const sending = request({
          port: server.port,
          host: "127.0.0.1",
          method: "POST",
          path: "/admin/v1/tenants",
          agent: new Agent({ keepAlive: true }),
          headers: {
            authorization: `Bearer ${OPERATOR_TOKEN}`,
            "content-type": "application/json",
            expect: "100-continue",
            ...length,
          },
        });
        sending.on("error", resolve);
        sending.on("response", async (answer) => {
          const text = Buffer.concat(await answer.toArray()).toString();
          resolve({ answer, body: JSON.parse(text) });
        });
        sending.on("continue", () => {
          sending.write('{"slug":');
          then(sending);
        });
        sending.flushHeaders();
      });
    const LENGTHS = [
      ["declared", { "content-length": "1000" }],
      ["unknown", { "transfer-encoding": "chunked" }],
    ] as const;

    it.each(LENGTHS)("in time is refused, whether or not some of it comes (length %s)", async (_, length) => {
      const server = await start(undefined, { bodyTimeoutMs: 200 });
      for (const drips of [false, true]) {
        let dripping: NodeJS.Timeout | undefined;
        const answered = await begin(server, length, (sending) => {
          if (drips) dripping = setInterval(() => sending.write(" "), 20);
        });
        clearInterval(dripping);
        if (answered instanceof Error) throw answered;
        expect(answered.body).toMatchObject({ status: 408, code: "body_timeout" });
        expect(answered.answer.headers.connection).toBe("close");
        expect(server.takeActs()).toMatchObject([
          { action: "tenants.create", outcome: "refused", code: "body_timeout" },
        ]);
      }
    });

    it.each(LENGTHS)("because its sender has gone is no failure (length %s)", async (_, length) => {
      const server = await start();
      await begin(server, length, (sending) => setImmediate(() => sending.destroy(new Error("gone"))));
      await expect
        .poll(() => server.events)
        .toMatchObject([{ type: "administrative", outcome: "refused", code: "input_invalid" }]);
    });
  });

  it("that nobody asked for is not looked at", async () => {
    const server = await start();
    await server.call("POST", "/tenants", { body: { slug: "ignores", name: "Ignores" } });
    expect((await server.call("POST", "/tenants/ignores/suspend", { body: "not JSON" })).status).toBe(200);
  });
});
