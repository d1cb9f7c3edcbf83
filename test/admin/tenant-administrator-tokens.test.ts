import { SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FakeIssuer, type FakeKey, makeKey, startFakeIssuer } from "../identity/fake-issuer.ts";
import { type HttpAnswer, send } from "../support/mcp-request.ts";
import { OPERATOR_TOKEN, startTestServer, type TestServer } from "../support/running-server.ts";

/** An audience that is not one of ours: the path alone says whose such a token is. */
const OVERRIDE = "api://bulkhead-of-acme";

let server: TestServer;
let idp: FakeIssuer;
let key: FakeKey;
/** Another issuer of acme, whose tokens have {@link OVERRIDE} as their audience. */
let other: FakeIssuer;

beforeAll(async () => {
  server = await startTestServer();
  [idp, other, key] = await Promise.all([startFakeIssuer(), startFakeIssuer(), makeKey("k1")]);
  idp.publish(key.publicJwk);
  other.publish(key.publicJwk);
  await change("PATCH", "/tenants/acme", { limits: { requestsPerMinute: null } });
  await change("POST", "/tenants/acme/issuers", {
    issuer: idp.origin,
    jwksUri: `${idp.origin}/jwks`,
    tenantClaim: null,
  });
  await change("POST", "/tenants/acme/issuers", {
    issuer: other.origin,
    jwksUri: `${other.origin}/jwks`,
    audience: OVERRIDE,
    tenantClaim: null,
  });
});
afterAll(async () => {
  await server.close();
  await idp.close();
  await other.close();
});

/** As the operator; what must succeed. */
async function change(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
  const answer = await server.admin(method, path, body);
  expect(answer.status, JSON.stringify(answer.json)).toBeLessThan(300);
  return answer.json;
}

interface TokenParts {
  readonly issuer?: string;
  readonly audience?: string | string[];
  readonly subject?: string;
  readonly scope?: string;
  /** Seconds from now. */
  readonly expires?: number;
  readonly tokenId?: string;
}

/** A token of acme's own issuer, for acme, with the permission admin, unless it is told otherwise. */
function tokenOf(parts: TokenParts = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1_000);
  return new SignJWT({ scope: parts.scope ?? "admin", client_id: "console" })
    .setProtectedHeader({ alg: "ES256", typ: "at+jwt", kid: key.kid })
    .setIssuer(parts.issuer ?? idp.origin)
    .setAudience(parts.audience ?? server.acme.mcp)
    .setSubject(parts.subject ?? "root")
    .setIssuedAt(now - 120)
    .setExpirationTime(now + (parts.expires ?? 300))
    .setJti(parts.tokenId ?? "t1")
    .sign(key.privateKey);
}

const ask = (
  path: string,
  authorization: string | string[] | null,
  more: { readonly method?: string; readonly body?: unknown } = {},
): Promise<HttpAnswer> =>
  send(`${server.url}/admin/v1${path}`, {
    method: more.method ?? "GET",
    headers: {
      ...(authorization === null ? {} : { authorization }),
      ...(more.body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(more.body === undefined ? {} : { body: JSON.stringify(more.body) }),
  });

/** The text of an answer but for the name of its operation, and its headers but for the time. */
const comparable = ({ status, headers, text }: HttpAnswer) => ({
  status,
  headers: { ...headers, date: "" },
  text: text.replace(/op_[0-9a-z]{26}/, ""),
});

/** What a token is told about acme, globex and a tenant that does not exist: code, or null where it is let in. */
async function codes(authorization: string | string[] | null): Promise<(string | null)[]> {
  const answers = await Promise.all(
    ["acme", "globex", "nobody"].map((tenant) => ask(`/tenants/${tenant}`, authorization)),
  );
  for (const { status, headers } of answers) {
    expect(headers["www-authenticate"]).toBe(status === 401 ? "Bearer" : undefined);
  }
  expect(answers.map(({ status }) => status >= 400)).toEqual(
    answers.map(({ json }) => json.code !== undefined),
  );
  return answers.map(({ json }) => json.code ?? null);
}

const OWN = [null, "tenant_not_found", "tenant_not_found"];
const NOBODY = ["operator_token_required", "operator_token_required", "operator_token_required"];
const NO_ADMINISTRATOR = ["administrator_required", "administrator_required", "administrator_required"];

describe("the admin API lets in", () => {
  it("the operator, everywhere", async () => {
    expect(await codes(`Bearer ${OPERATOR_TOKEN}`)).toEqual([null, null, "tenant_not_found"]);
  });

  it("an administrator of acme at acme, by slug and by id, and sees no difference between globex and nobody", async () => {
    const bearer = `Bearer ${await tokenOf()}`;
    expect(await codes(bearer)).toEqual(OWN);
    expect((await ask(`/tenants/${server.acme.id}`, bearer)).json).toMatchObject({ slug: "acme" });
    const [globex, byId, encoded, nobody] = await Promise.all(
      ["globex", server.globex.id, "%67lobex", "nobody"].map((name) => ask(`/tenants/${name}`, bearer)),
    );
    for (const answer of [globex, byId, encoded]) {
      if (answer === undefined || nobody === undefined) throw new TypeError("There is no answer.");
      expect(comparable(answer)).toEqual(comparable(nobody));
    }
    const list = await ask("/tenants", bearer);
    expect(list.json.items.map((tenant: { slug: string }) => tenant.slug)).toEqual(["acme"]);
    expect((await ask("/plans", bearer)).json).toMatchObject({ status: 403, code: "operator_only" });
  });

  it("an administrator by a role of the tenant", async () => {
    await change("PATCH", "/tenants/acme", { roles: { owner: ["admin"], agent: ["tickets:write"] } });
    const assign = (subject: string, roles: string[]) =>
      change("PUT", "/tenants/acme/role-assignments", { issuer: idp.origin, subject, roles });
    await assign("owner", ["owner"]);
    await assign("agent", ["agent"]);
    expect(await codes(`Bearer ${await tokenOf({ subject: "owner", scope: "tickets:read" })}`)).toEqual(OWN);
    expect(await codes(`Bearer ${await tokenOf({ subject: "agent", scope: "tickets:read" })}`)).toEqual(
      NO_ADMINISTRATOR,
    );
  });

  it("an administrator with a token of the broker for the shared URL", async () => {
    const { token, audience } = await change("POST", "/development/tokens", {
      tenant: "acme",
      subject: "root",
      scope: "admin",
      shared: true,
    });
    expect(audience).toBe(server.shared);
    expect(await codes(`Bearer ${token}`)).toEqual(OWN);
    expect((await ask("/tenants", `Bearer ${token}`)).json.items).toHaveLength(1);
  });

  it("an administrator whose token's audience is not ours where the path names the tenant, and only there", async () => {
    const bearer = `Bearer ${await tokenOf({ issuer: other.origin, audience: OVERRIDE })}`;
    expect(await codes(bearer)).toEqual([null, "operator_token_required", "operator_token_required"]);
    expect((await ask(`/tenants/${server.acme.id}/keys`, bearer)).status).toBe(200);
    expect((await ask("/tenants", bearer)).json).toMatchObject({ code: "operator_token_required" });
    const [globex, nobody] = await Promise.all([
      ask("/tenants/globex", bearer),
      ask("/tenants/nobody", bearer),
    ]);
    expect(comparable(globex)).toEqual(comparable(nobody));
  });
});

describe("the admin API refuses", () => {
  it.each<[string, TokenParts, readonly (string | null)[]]>([
    ["a token without admin", { scope: "tickets:read tickets:write" }, NO_ADMINISTRATOR],
    ["a token with a wildcard", { scope: "* *:* admin:*" }, NO_ADMINISTRATOR],
    ["a token with admin in another case", { scope: "Admin ADMIN administrator" }, NO_ADMINISTRATOR],
    ["an expired token", { expires: -60 }, NOBODY],
    ["a token of a stranger", { issuer: "https://idp.example" }, NOBODY],
  ])("%s", async (_what, parts, expected) => {
    expect(await codes(`Bearer ${await tokenOf(parts)}`)).toEqual(expected);
  });

  it("a token for globex by an issuer of acme, and one for two tenants", async () => {
    expect(await codes(`Bearer ${await tokenOf({ audience: server.globex.mcp })}`)).toEqual(NOBODY);
    const both = [server.acme.mcp, server.globex.mcp];
    expect(await codes(`Bearer ${await tokenOf({ audience: both })}`)).toEqual(NOBODY);
  });

  it("no token, two of them, one in the query, and one that was changed", async () => {
    const token = await tokenOf();
    const [header, , signature] = token.split(".");
    const forged = Buffer.from(JSON.stringify({ iss: idp.origin, aud: server.acme.mcp, scope: "admin" }));
    expect(await codes(null)).toEqual(NOBODY);
    expect(await codes([`Bearer ${token}`, `Bearer ${token}`])).toEqual(NOBODY);
    expect(await codes([`Bearer ${OPERATOR_TOKEN}`, `Bearer ${token}`])).toEqual(NOBODY);
    expect(await codes([`Bearer ${OPERATOR_TOKEN}`, `Bearer ${OPERATOR_TOKEN}`])).toEqual(NOBODY);
    expect(await codes(`Bearer ${header}.${forged.toString("base64url")}.${signature}`)).toEqual(NOBODY);
    expect((await ask(`/tenants/acme?access_token=${token}`, null)).status).toBe(401);
    expect((await ask(`/tenants/acme?access_token=${OPERATOR_TOKEN}`, null)).status).toBe(401);
  });

  it("an API key, whatever its permissions", async () => {
    await change("PATCH", "/tenants/acme", { apiKeys: true });
    const made = await change("POST", "/tenants/acme/keys", { name: "machine", permissions: ["admin"] });
    expect(await codes(`Bearer ${made.key}`)).toEqual(NO_ADMINISTRATOR);
  });

  it("an administrator of a suspended tenant, until it is resumed", async () => {
    const { token } = await change("POST", "/development/tokens", {
      tenant: "globex",
      subject: "root",
      scope: "admin",
    });
    const bearer = `Bearer ${token}`;
    expect(await codes(bearer)).toEqual(["tenant_not_found", null, "tenant_not_found"]);
    await change("POST", "/tenants/globex/suspend");
    expect(await codes(bearer)).toEqual(["tenant_suspended", "tenant_suspended", "tenant_suspended"]);
    expect((await ask("/tenants/globex/resume", bearer, { method: "POST" })).status).toBe(403);
    await change("POST", "/tenants/globex/resume");
    expect(await codes(bearer)).toEqual(["tenant_not_found", null, "tenant_not_found"]);
  });

  it("an administrator who has revoked the own token", async () => {
    const bearer = `Bearer ${await tokenOf({ tokenId: "spent" })}`;
    const body = { issuer: idp.origin, jti: "spent" };
    const revoked = await ask("/tenants/acme/revocations", bearer, { method: "POST", body });
    expect(revoked.status).toBe(201);
    expect(await codes(bearer)).toEqual(NOBODY);
    expect(await codes(`Bearer ${await tokenOf()}`)).toEqual(OWN);
  });

  it("more than the rate of the tenant, and the operator is not held up by that", async () => {
    const bearer = `Bearer ${await tokenOf()}`;
    await change("PATCH", "/tenants/acme", { limits: { requestsPerMinute: 60, burst: 3 } });
    try {
      const statuses: number[] = [];
      for (let i = 0; i < 8; i++) {
        const { status, headers, json } = await ask("/tenants/acme", bearer);
        statuses.push(status);
        if (status === 429) expect([headers["retry-after"], json.code]).toEqual(["1", "rate_limited"]);
      }
      expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(3);
    } finally {
      await change("PATCH", "/tenants/acme", { limits: { requestsPerMinute: null } });
    }
    expect((await ask("/tenants/acme", bearer)).status).toBe(200);
  });
});

describe("what a tenant's administrator does", () => {
  it("is in acme's audit trail under the administrator's name, refused or not, and no token is anywhere", async () => {
    const token = await tokenOf({ subject: "auditor-of-acts", tokenId: "audited" });
    const bearer = `Bearer ${token}`;
    await ask("/tenants/acme", bearer, { method: "PATCH", body: { scopes: ["tickets:read"] } });
    await ask("/tenants/acme", bearer, { method: "PATCH", body: { plan: "free" } });
    await ask("/tenants/globex", bearer, { method: "PATCH", body: { scopes: [] } });
    await ask("/tenants/acme/suspend", bearer, { method: "POST" });
    const rows = () =>
      server.database.admin<Record<string, unknown>>(
        `SELECT tenant_id, actor, action, target, outcome, code FROM bulkhead.audit_entries
          WHERE kind = 'administrative' AND actor->>'subject' = 'auditor-of-acts' ORDER BY seq`,
      );
    await expect.poll(async () => (await rows()).length).toBe(4);
    const actor = { kind: "user", subject: "auditor-of-acts", issuer: idp.origin, clientId: "console" };
    const mine = { tenant_id: server.acme.id, actor };
    const refused = { ...mine, outcome: "refused" };
    expect(await rows()).toEqual([
      { ...mine, action: "tenants.change", target: "acme", outcome: "ok", code: null },
      { ...refused, action: "tenants.change", target: "acme", code: "operator_only" },
      { ...refused, action: "tenants.change", target: "globex", code: "tenant_not_found" },
      { ...refused, action: "tenants.suspend", target: "acme", code: "operator_only" },
    ]);
    const told =
      JSON.stringify(server.instances[0].log()) +
      JSON.stringify(await server.database.admin("SELECT * FROM bulkhead.audit_entries"));
    for (const part of token.split(".").slice(1)) expect(told).not.toContain(part.slice(0, 40));
  });
});

describe("an explanation of access", () => {
  const explain = async (tenant: string, query: string, bearer?: string): Promise<HttpAnswer> =>
    ask(`/tenants/${tenant}/access?${query}`, bearer ?? `Bearer ${await tokenOf()}`);

  it("says by which role somebody may", async () => {
    await change("PATCH", "/tenants/acme", { roles: { agent: ["tickets:write"] } });
    const body = { issuer: idp.origin, subject: "ann", roles: ["agent"] };
    await change("PUT", "/tenants/acme/role-assignments", body);
    const may = await explain("acme", "subject=ann&tool=get_ticket");
    expect(may.status).toBe(200);
    expect(may.headers["cache-control"]).toBe("no-store");
    expect(may.json).toMatchObject({
      allowed: true,
      visible: true,
      presence: "present",
      decision: { reason: "implied", permission: "tickets:read", by: "tickets:write", from: "role agent" },
      subject: { subject: "ann", issuer: idp.origin },
      roles: [{ name: "agent", source: "assigned", defined: true }],
      grants: [{ permission: "tickets:write", from: "role agent", source: "assigned role" }],
      why: expect.stringContaining("ann may call get_ticket"),
    });
    const mayNot = await explain("acme", "subject=ann&tool=close_ticket");
    expect(mayNot.json).toMatchObject({
      allowed: false,
      decision: { reason: "missing", permission: "tickets:manage" },
    });
  });

  it("takes scopes, several roles, resources, prompts and API keys", async () => {
    const scoped = await explain("acme", "scope=a:b%20tickets:*&role=x&role=agent&tool=close_ticket");
    expect(scoped.json).toMatchObject({ allowed: true, decision: { reason: "wildcard", by: "tickets:*" } });
    expect(scoped.json.roles.map(({ name }: { name: string }) => name)).toEqual(["x", "agent"]);
    const resource = await explain(
      "acme",
      `scope=tickets:read&resource=${encodeURIComponent("nothing://1")}`,
    );
    expect(resource.json).toMatchObject({ allowed: false, visible: false, presence: "unknown" });
    expect((await explain("acme", "prompt=nothing")).json).toMatchObject({ presence: "unknown" });
    await change("PATCH", "/tenants/acme", { apiKeys: true });
    const { id } = await change("POST", "/tenants/acme/keys", { name: "bot", permissions: ["tickets:read"] });
    expect((await explain("acme", `key=${id}&tool=get_ticket`)).json).toMatchObject({
      allowed: true,
      decision: { reason: "granted", from: "api key" },
    });
  });

  it("tells a tenant's administrator nothing of what other tenants have, and the operator all", async () => {
    const { token } = await change("POST", "/development/tokens", {
      tenant: "globex",
      subject: "root",
      scope: "admin",
    });
    const query = "scope=admin&tool=escalate_to_account_manager";
    const theirs = await explain("globex", query, `Bearer ${token}`);
    expect(theirs.json).toMatchObject({ presence: "unknown", decision: null });
    const unknown = await explain("globex", "scope=admin&tool=no_such_tool", `Bearer ${token}`);
    expect(theirs.text.replaceAll("escalate_to_account_manager", "no_such_tool")).toBe(unknown.text);
    const operators = await explain("globex", query, `Bearer ${OPERATOR_TOKEN}`);
    expect(operators.json).toMatchObject({ presence: "other_tenants" });
  });

  it("is for one's own tenant alone", async () => {
    const [globex, nobody] = await Promise.all([
      explain("globex", "tool=get_ticket"),
      explain("nobody", "tool=get_ticket"),
    ]);
    expect(globex.json).toMatchObject({ status: 404, code: "tenant_not_found" });
    expect(comparable(globex)).toEqual(comparable(nobody));
    const operators = await explain("nobody", "tool=get_ticket", `Bearer ${OPERATOR_TOKEN}`);
    expect(comparable(operators)).toEqual(comparable(nobody));
  });

  it.each([
    "",
    "subject=ann",
    "tool=a&prompt=b",
    "tool=a&tool=b",
    "tool=",
    "tool=a&subject=x&subject=y",
    "tool=a&key=not-a-key",
    "tool=a&key=key_00000000000000000000000000",
    "tool=a&issuer=https://nobody.example&subject=x",
    "tool=a&scope=%22",
    "tool=a&token=x",
  ])("refuses the query %j", async (query) => {
    const answer = await explain("acme", query);
    expect(answer.json).toMatchObject({ status: 400, code: "input_invalid" });
  });
});
