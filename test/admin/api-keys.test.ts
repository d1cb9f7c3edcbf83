import { createHash } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { isSecretOf, parseApiKey } from "../../src/identity/api-key.ts";
import { ADMINISTRATOR } from "./callers.ts";
import {
  allPages,
  errorPaths,
  type IdentityServer,
  startIdentityServer,
  withoutOperation,
} from "./identity-server.ts";

let server: IdentityServer;

beforeAll(async () => {
  server = await startIdentityServer();
  for (const slug of ["acme", "globex"])
    await server.call("PATCH", `/tenants/${slug}`, { body: { apiKeys: true } });
});
afterAll(() => server.stop());
beforeEach(async () => {
  await server.database.admin("DELETE FROM bulkhead.api_keys");
  server.events.length = 0;
});

const DAY_MS = 86_400_000;
const inDays = (days: number): string => new Date(Date.now() + days * DAY_MS).toISOString();
const create = (tenant: string, more: object = {}) =>
  server.call("POST", `/tenants/${tenant}/keys`, {
    body: { name: "Importer", permissions: ["tickets:write"], ...more },
  });

describe("creating an API key", () => {
  it("answers 201 with the key, which counts, and leaves one event that names it", async () => {
    const changes = server.changes();
    const answer = await create("acme", { permissions: ["tickets:*", "admin"] });
    expect(answer.status).toBe(201);
    const { key, ...shown } = answer.body;
    const presented = parseApiKey(String(key));
    expect(shown).toEqual({
      id: presented?.id,
      name: "Importer",
      permissions: ["tickets:*", "admin"],
      createdAt: expect.stringMatching(/Z$/),
      expiresAt: expect.stringMatching(/Z$/),
      expired: false,
      createdBy: { kind: "operator", subject: "operator", issuer: null, clientId: null },
    });
    const life = Date.parse(String(shown.expiresAt)) - Date.now();
    expect(life).toBeGreaterThan(89.9 * DAY_MS);
    expect(life).toBeLessThanOrEqual(90 * DAY_MS);
    const [known] = (await server.snapshot("acme")).apiKeys.values();
    expect(known).toMatchObject({ id: shown.id, permissions: ["tickets:*", "admin"] });
    if (known === undefined || presented === null) throw new TypeError("no key");
    expect(isSecretOf(known, presented.secret)).toBe(true);
    expect((await server.snapshot("globex")).apiKeys.size).toBe(0);
    expect(server.changes()).toBe(changes + 1);
    expect(server.takeActs()).toMatchObject([{ action: "keys.create", target: shown.id, outcome: "ok" }]);
  });

  it("shows and keeps no key twice: not in lists, events or rows", async () => {
    const { body } = await create("acme");
    const secret = String(body.key).slice(-43);
    const answers = [
      await server.call("GET", "/tenants/acme/keys"),
      await server.call("DELETE", `/tenants/acme/keys/${String(body.id)}`),
    ];
    expect(answers.map((answer) => answer.status)).toEqual([200, 200]);
    const hash = createHash("sha256").update(secret).digest();
    const told = JSON.stringify([answers.map((answer) => answer.body), server.events]);
    for (const form of [secret, hash.toString("hex"), hash.toString("base64")])
      expect(told).not.toContain(form);
    const { body: kept } = await create("acme");
    const other = String(kept.key).slice(-43);
    const bytes = Buffer.from(other, "base64url").toString("hex");
    expect(await server.tablesWith(other, Buffer.from(other).toString("hex"), bytes)).toEqual([]);
    expect(await server.tablesWith(createHash("sha256").update(other).digest("hex"))).toEqual([
      "bulkhead.api_keys",
    ]);
  });

  it("is also a tenant administrator's, and says whose", async () => {
    const answer = await server.callAs("acme", "POST", "/tenants/acme/keys", {
      name: "Mine",
      permissions: ["admin"],
    });
    expect(answer.status).toBe(201);
    expect(answer.body.createdBy).toEqual(ADMINISTRATOR);
    const listed = await server.call("GET", "/tenants/acme/keys");
    expect(listed.body.items).toMatchObject([{ createdBy: ADMINISTRATOR }]);
  });

  it("takes the last day of 366, and offsets", async () => {
    const latest = new Date(Date.now() + 366 * DAY_MS - 5_000).toISOString();
    expect((await create("acme", { expiresAt: latest })).body).toMatchObject({ expiresAt: latest });
    const withOffset = inDays(1).replace("Z", "+02:00");
    expect((await create("acme", { expiresAt: withOffset })).status).toBe(201);
  });

  it("is refused where keys are off, and those that were made before do not count until they are on again", async () => {
    const { body } = await create("globex");
    await server.call("PATCH", "/tenants/globex", { body: { apiKeys: false } });
    try {
      expect((await create("globex")).body).toMatchObject({ status: 409, code: "keys_off" });
      expect((await server.snapshot("globex")).apiKeys.size).toBe(0);
      expect((await server.call("GET", "/tenants/globex/keys")).body.items).toMatchObject([{ id: body.id }]);
    } finally {
      await server.call("PATCH", "/tenants/globex", { body: { apiKeys: true } });
    }
    expect((await server.snapshot("globex")).apiKeys.size).toBe(1);
  });

  it("is refused for a tenant that is not there", async () => {
    for (const name of ["nobody", "tnt_00000000000000000000000000", "NOBODY"]) {
      expect((await create(name)).body).toMatchObject({ status: 404, code: "tenant_not_found" });
    }
  });

  it("never passes 200, however many come at once", async () => {
    await server.database.admin(
      `INSERT INTO bulkhead.api_keys (id, tenant_id, name, secret_hash, permissions, expires_at, created_by)
       SELECT 'key_' || lpad(n::text, 26, '0'), t.id, 'k', sha256('x'), '{a}', now() - interval '1 day', '{}'
         FROM bulkhead.tenants t, generate_series(1, 195) AS n WHERE t.slug = 'acme'`,
    );
    const answers = await Promise.all(Array.from({ length: 15 }, () => create("acme")));
    expect(answers.filter((answer) => answer.status === 201)).toHaveLength(5);
    expect(answers.filter((answer) => answer.body.code === "too_many")).toHaveLength(10);
    expect((await create("globex")).status).toBe(201);
  });

  it("never passes 512 KB in all", async () => {
    await server.database.admin(
      `INSERT INTO bulkhead.api_keys (id, tenant_id, name, secret_hash, permissions, expires_at, created_by)
       SELECT 'key_' || lpad(n::text, 26, '0'), t.id, 'k', sha256('x'), ARRAY[repeat('a', 5241)], now() - interval '1 day', '{}'
         FROM bulkhead.tenants t, generate_series(1, 100) AS n WHERE t.slug = 'acme'`,
    );
    // 88 bytes are left.
    const fits = { name: "k", permissions: ["b".repeat(80), "c".repeat(6)] };
    expect((await create("acme", { ...fits, name: "kk" })).body).toMatchObject({
      status: 409,
      code: "too_many",
    });
    expect((await create("acme", fits)).status).toBe(201);
    expect((await create("globex", fits)).status).toBe(201);
  });

  it.each([
    ["now", () => new Date().toISOString()],
    ["in the past", () => inDays(-1)],
    ["after 367 days", () => inDays(367)],
    ["in the year 9999", () => "9999-12-31T23:59:59Z"],
    ["as a day", () => inDays(1).slice(0, 10)],
    ["without an offset", () => inDays(1).replace("Z", "")],
    ["on a day that is none", () => "2027-02-30T00:00:00Z"],
    ["as a number", () => Date.now() + DAY_MS],
    ["as a list", () => [inDays(1)]],
    ["never", () => null],
    ["after a space", () => ` ${inDays(1)}`],
  ])("is refused where it would expire %s", async (_, expiresAt) => {
    const answer = await create("acme", { expiresAt: expiresAt() });
    expect([answer.status, errorPaths(answer)]).toEqual([400, ["expiresAt"]]);
    expect((await server.call("GET", "/tenants/acme/keys")).body.items).toEqual([]);
  });

  it.each([
    ["without a name", { name: undefined }, "name"],
    ["with a name of spaces", { name: "  " }, "name"],
    ["with NUL in its name", { name: "a\0" }, "name"],
    ["with half a character in its name", { name: "a\ud800" }, "name"],
    ["with a name that is an object", { name: { __proto__x: 1 } }, "name"],
    ["with no permissions", { permissions: [] }, "permissions"],
    ["with one permission that is no list", { permissions: "a" }, "permissions"],
    ["with permissions that are an object", { permissions: { 0: "a" } }, "permissions"],
    ["with two permissions in one", { permissions: ["a b"] }, "permissions.0"],
    ["with a permission that ends in a space", { permissions: ["a "] }, "permissions.0"],
    ["with a letter that looks like another", { permissions: ["аdmin"] }, "permissions.0"],
    ["with too long a permission", { permissions: ["a".repeat(129)] }, "permissions.0"],
    ["with 101 permissions", { permissions: Array(101).fill("a") }, "permissions"],
    ["with an id of its own", { id: "key_00000000000000000000000000" }, "id"],
    ["with a secret of its own", { key: "bk_x" }, "key"],
    ["with a maker of its own", { createdBy: {} }, "createdBy"],
  ])("is refused %s", async (_, more, path) => {
    const answer = await create("acme", more);
    expect([answer.status, answer.body.code]).toEqual([400, "input_invalid"]);
    expect(errorPaths(answer)).toEqual([path]);
  });

  it("is refused with a prototype, as a list, and beyond 256 KB", async () => {
    const post = (body: string) => server.call("POST", "/tenants/acme/keys", { body });
    const polluted = await post('{"name":"x","permissions":["a"],"__proto__":{"expiresAt":"x"}}');
    expect([polluted.status, errorPaths(polluted)]).toEqual([400, ["__proto__"]]);
    expect((await post("[]")).status).toBe(400);
    expect((await post(`{"name":"${"x".repeat(1_000_000)}"}`)).status).toBe(413);
  });
});

describe("a tenant's API keys", () => {
  it("are listed to it in order of creation, page by page, expired ones too", async () => {
    const created: unknown[] = [];
    for (let i = 0; i < 5; i++) {
      const { key, ...shown } = (await create("acme", { name: `Key ${i}` })).body;
      created.push(shown);
    }
    await create("globex");
    await server.database.admin(
      "UPDATE bulkhead.api_keys SET expires_at = '2026-01-01T00:00:00Z' WHERE name = 'Key 4'",
    );
    created[4] = { ...(created[4] as object), expired: true, expiresAt: "2026-01-01T00:00:00.000Z" };
    const pages = await allPages(server, "/tenants/acme/keys", 2);
    expect(pages.map((page) => page.length)).toEqual([2, 2, 1]);
    expect(pages.flat()).toEqual(created);
    expect((await server.callAs("acme", "GET", "/tenants/acme/keys")).body.items).toEqual(created);
    expect((await server.callAs("acme", "GET", "/tenants/globex/keys")).status).toBe(404);
    expect((await server.call("GET", "/tenants/nobody/keys")).body).toMatchObject({
      code: "tenant_not_found",
    });
  });

  it("are deleted one by one, once", async () => {
    const { key, ...shown } = (await create("acme")).body;
    const changes = server.changes();
    server.events.length = 0;
    const path = `/tenants/acme/keys/${String(shown.id)}`;
    const answer = await server.callAs("acme", "DELETE", path);
    expect([answer.status, answer.body]).toEqual([200, shown]);
    expect(server.changes()).toBe(changes + 1);
    expect(server.takeActs()).toMatchObject([
      { action: "keys.delete", target: shown.id, actor: ADMINISTRATOR },
    ]);
    expect((await server.snapshot("acme")).apiKeys.size).toBe(0);
    expect((await server.call("DELETE", path)).body).toMatchObject({ status: 404, code: "key_not_found" });
  });

  it("of another tenant answer as those that do not exist", async () => {
    const { body } = await create("globex");
    const unknown = withoutOperation(
      await server.call("DELETE", "/tenants/acme/keys/key_00000000000000000000000000"),
    );
    expect(unknown).toMatchObject({ status: 404, rest: { code: "key_not_found" } });
    for (const id of [String(body.id), "x", String(body.key), "KEY_00000000000000000000000000", "a%00b"]) {
      expect(withoutOperation(await server.call("DELETE", `/tenants/acme/keys/${id}`))).toEqual(unknown);
      expect(withoutOperation(await server.callAs("acme", "DELETE", `/tenants/acme/keys/${id}`))).toEqual(
        unknown,
      );
    }
    expect((await server.snapshot("globex")).apiKeys.size).toBe(1);
    expect(JSON.stringify(server.events)).not.toContain(String(body.key));
  });
});
