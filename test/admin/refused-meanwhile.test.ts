import { type ClientRequest, request } from "node:http";
import { SignJWT } from "jose";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type FakeIssuer, type FakeKey, makeKey, startFakeIssuer } from "../identity/fake-issuer.ts";
import { type HttpAnswer, send } from "../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";

let server: TestServer;
let idp: FakeIssuer;
let key: FakeKey;
/** An administrator of acme by a scope, and one by a role. */
let root: string;
let owner: string;
/** How acme becomes again what it was. */
const restore: (() => Promise<unknown>)[] = [];

const LISTS = ["keys", "issuers", "revocations", "role-assignments"];

beforeAll(async () => {
  server = await startTestServer();
  [idp, key] = await Promise.all([startFakeIssuer(), makeKey("k1")]);
  idp.publish(key.publicJwk);
  await change("PATCH", "/tenants/acme", {
    apiKeys: true,
    roles: { owner: ["admin"], agent: ["tickets:read"] },
    limits: { requestsPerMinute: null },
  });
  await register();
  await assign(["owner"]);
  [root, owner] = await Promise.all([tokenOf("root", "admin"), tokenOf("owner", "tickets:read")]);
});
afterEach(async () => {
  for (const step of restore.splice(0)) await step();
});
afterAll(async () => {
  await server.close();
  await idp.close();
});

/** As the operator; what must succeed. */
async function change(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
  const answer = await server.admin(method, path, body);
  expect(answer.status, JSON.stringify(answer.json)).toBeLessThan(300);
  return answer.json;
}

const register = () =>
  change("POST", "/tenants/acme/issuers", {
    issuer: idp.origin,
    jwksUri: `${idp.origin}/jwks`,
    tenantClaim: null,
  });
const assign = (roles: string[]) =>
  change("PUT", "/tenants/acme/role-assignments", { issuer: idp.origin, subject: "owner", roles });

function tokenOf(subject: string, scope: string): Promise<string> {
  const now = Math.floor(Date.now() / 1_000);
  return new SignJWT({ scope, client_id: "console" })
    .setProtectedHeader({ alg: "ES256", typ: "at+jwt", kid: key.kid })
    .setIssuer(idp.origin)
    .setAudience(server.acme.mcp)
    .setSubject(subject)
    .setIssuedAt(now - 120)
    .setExpirationTime(now + 300)
    .setJti(subject)
    .sign(key.privateKey);
}

const ask = (method: string, path: string, token: string, body?: unknown): Promise<HttpAnswer> =>
  send(`${server.url}/admin/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

/** Sends the headers of a request, and waits until the server is ready for its body. */
async function open(
  method: string,
  path: string,
  token: string,
): Promise<{ finish: (body: unknown) => Promise<HttpAnswer> }> {
  // Afterwards the token is known, so that the next request has been let in when its headers were answered.
  expect((await ask("GET", "/tenants/acme", token)).status).toBe(200);
  const sending: ClientRequest = request(`${server.url}/admin/v1${path}`, {
    method,
    agent: false,
    headers: {
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      "transfer-encoding": "chunked",
      expect: "100-continue",
    },
  });
  const answered = new Promise<HttpAnswer>((resolve, reject) => {
    sending.on("error", reject);
    sending.on("response", async (res) => {
      const chunks: Buffer[] = await res.toArray();
      const text = Buffer.concat(chunks).toString();
      resolve({ status: res.statusCode ?? 0, headers: res.headers, text, json: JSON.parse(text) });
    });
  });
  const ready = new Promise((resolve) => sending.once("continue", resolve));
  sending.flushHeaders();
  await ready;
  return {
    finish(body) {
      sending.end(JSON.stringify(body));
      return answered;
    },
  };
}

/** What acme has, as the operator sees it. */
async function configuration(): Promise<unknown> {
  const [tenant, ...lists] = await Promise.all(
    ["", ...LISTS.map((list) => `/${list}`)].map((path) => change("GET", `/tenants/acme${path}`)),
  );
  const { status, version, updatedAt, ...rest } = tenant ?? {};
  return { rest, lists };
}

const revokeSubject = async (): Promise<void> => {
  const { id } = await change("POST", "/tenants/acme/revocations", { issuer: idp.origin, subject: "root" });
  restore.push(() => change("DELETE", `/tenants/acme/revocations/${id}`));
};
const suspend = async (): Promise<void> => {
  await change("POST", "/tenants/acme/suspend");
  restore.push(() => change("POST", "/tenants/acme/resume"));
};
const removeIssuer = async (): Promise<void> => {
  const { items } = await change("GET", "/tenants/acme/issuers");
  const { id } =
    (items as { id: string; issuer: string }[]).find(({ issuer }) => issuer === idp.origin) ?? {};
  await change("DELETE", `/tenants/acme/issuers/${id}`);
  restore.push(register);
};
const takeRole = async (): Promise<void> => {
  await assign(["agent"]);
  restore.push(() => assign(["owner"]));
};

/** A promise, and what keeps it. */
function signal(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

const KEY = { name: "late", permissions: ["admin"] };

describe("an administrator who is none any more when the body has come", () => {
  it.each<[string, string, unknown]>([
    ["POST", "/tenants/acme/keys", KEY],
    [
      "POST",
      "/tenants/acme/issuers",
      { issuer: "https://late.example/", jwksUri: "https://late.example/keys", tenantClaim: null },
    ],
    ["POST", "/tenants/acme/revocations", { notBefore: 1 }],
    [
      "PUT",
      "/tenants/acme/role-assignments",
      { issuer: "https://late.example/", subject: "x", roles: ["owner"] },
    ],
    ["PATCH", "/tenants/acme", { roles: { owner: ["admin"], agent: ["admin"] } }],
    ["PATCH", "/tenants/acme", { limits: {} }],
  ])("is refused %s %s", async (method, path, body) => {
    const { finish } = await open(method, path, root);
    await revokeSubject();
    const now = await configuration();
    const answer = await finish(body);
    expect(answer.json).toMatchObject({ status: 401, code: "operator_token_required" });
    expect(answer.headers["www-authenticate"]).toBe("Bearer");
    expect(await configuration()).toEqual(now);
    // It had been let in: it is an operation that was refused, and the record says whose.
    await expect
      .poll(() => server.instances[0].log().find(({ operation }) => operation === answer.json.operationId))
      .toMatchObject({
        event: "administrative",
        subject: "root",
        outcome: "refused",
        code: "operator_token_required",
      });
  });

  it.each<[string, () => string, () => Promise<void>, number, string]>([
    ["the tenant is suspended", () => root, suspend, 403, "tenant_suspended"],
    ["the issuer is removed", () => root, removeIssuer, 401, "operator_token_required"],
    ["the role is taken away", () => owner, takeRole, 403, "administrator_required"],
  ])("is refused where %s", async (_what, token, lose, status, code) => {
    const { finish } = await open("POST", "/tenants/acme/keys", token());
    await lose();
    const answer = await finish(KEY);
    expect(answer.json).toMatchObject({ status, code, operationId: expect.stringMatching(/^op_/) });
    expect((await change("GET", "/tenants/acme/keys")).items).toEqual([]);
  });

  it("is let in where nothing was lost", async () => {
    const { finish } = await open("POST", "/tenants/acme/keys", owner);
    await revokeSubject();
    const answer = await finish(KEY);
    expect(answer.status).toBe(201);
    await change("DELETE", `/tenants/acme/keys/${answer.json.id}`);
  });
});

it("an administrator who is none any more when an issuer has answered does not register it", async () => {
  const late = await startFakeIssuer();
  try {
    const asked = signal();
    const released = signal();
    late.answer = async (_req, res) => {
      asked.resolve();
      await released.promise;
      res.end(JSON.stringify({ issuer: late.origin, jwks_uri: `${late.origin}/jwks` }));
    };
    const body = { issuer: late.origin, tenantClaim: null };
    const answering = ask("POST", "/tenants/acme/issuers", root, body);
    await asked.promise;
    await revokeSubject();
    released.resolve();
    const answer = await answering;
    expect(answer.json).toMatchObject({ status: 401, code: "operator_token_required" });
    expect((await change("GET", "/tenants/acme/issuers")).items).not.toContainEqual(
      expect.objectContaining({ issuer: late.origin }),
    );
  } finally {
    await late.close();
  }
});
