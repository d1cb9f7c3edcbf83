import { randomBytes } from "node:crypto";
import { request } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { mcpMessage } from "../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";
import { type FakeIssuer, startFakeIssuer } from "./fake-issuer.ts";

const STRANGER = "127.0.0.2";
const FRIEND = "127.0.0.3";

let server: TestServer;
let idp: FakeIssuer;

beforeAll(async () => {
  idp = await startFakeIssuer();
  server = await startTestServer({ settings: { masterKey: randomBytes(32).toString("base64url") } });
  const { status } = await server.admin("POST", "/tenants/acme/issuers", {
    issuer: idp.origin,
    tenantClaim: null,
    introspection: { endpoint: `${idp.origin}/introspect`, clientId: "bulkhead", clientSecret: "secret" },
  });
  expect(status).toBe(201);
  // It says nothing about tokens that it has not issued, for as long as it is waited for.
  idp.answer = async (req, res) => {
    let body = "";
    for await (const chunk of req) body += String(chunk);
    const token = new URLSearchParams(body).get("token");
    if (token?.startsWith("good-") !== true) return;
    const now = Math.floor(Date.now() / 1000);
    const { mcp: aud } = server.acme;
    res.end(JSON.stringify({ active: true, sub: "ada", aud, iat: now, exp: now + 60, client_id: "c1" }));
  };
});
afterAll(async () => {
  await server.close();
  await idp.close();
});

interface Answer {
  readonly status: number;
  readonly limit: unknown;
}

/** The answer to a list of tools from an address of this machine. */
function list(token: string, localAddress: string): Promise<Answer> {
  const { headers, body } = mcpMessage(token, "tools/list");
  return new Promise((resolve, reject) => {
    const outgoing = request(
      server.acme.mcp,
      { method: "POST", agent: false, headers, localAddress },
      async (res) => {
        let text = "";
        for await (const chunk of res) text += String(chunk);
        resolve({ status: res.statusCode ?? 0, limit: JSON.parse(text).error?.data?.limit });
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

test("a stranger who asks about made-up tokens shuts nobody out, and is not listened to after a while", async () => {
  let made = 0;
  const limits = new Map<unknown, number>();
  let stop = false;
  const flood = async (): Promise<void> => {
    while (!stop) {
      const { limit } = await list(`made-up-${made++}`, STRANGER);
      limits.set(limit, (limits.get(limit) ?? 0) + 1);
    }
  };
  const floods = Array.from({ length: 24 }, flood);
  try {
    await expect.poll(() => limits.get("introspections") ?? 0).toBeGreaterThan(10);
    for (let i = 0; i < 20; i++) {
      expect(await list(`good-${i}`, FRIEND)).toEqual({ status: 200, limit: undefined });
    }
    // What is over its share counts as a failure of the stranger's address, as an invalid token does.
    await expect.poll(() => limits.get("failedAuthentications") ?? 0, { timeout: 15_000 }).toBeGreaterThan(0);
    expect(await list("good-late", FRIEND)).toEqual({ status: 200, limit: undefined });
  } finally {
    stop = true;
    await Promise.all(floods);
  }
  expect(limits.get("introspections")).toBeGreaterThanOrEqual(1000);
}, 30_000);
