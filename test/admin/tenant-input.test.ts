import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { SystemDoor } from "../../src/data/system-door.ts";
import { createTestDatabase } from "../support/database.ts";
import { type AdminServer, startAdminServer } from "./admin-server.ts";

let database: { readonly system: SystemDoor; drop(): Promise<void> };
let server: AdminServer;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startAdminServer(database.system);
  await server.call("POST", "/tenants", { body: { slug: "acme", name: "Acme" } });
});
afterAll(async () => {
  await server.close();
  await database.drop();
});
beforeEach(() => {
  server.events.length = 0;
});

const nested = (depth: number): unknown => JSON.parse(`${"[".repeat(depth)}${"]".repeat(depth)}`);
const many = (count: number, of: unknown) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`n${i}`, of]));

describe("a new tenant is refused", () => {
  const cases: readonly (readonly [string, unknown, string])[] = [
    ["without a slug", { name: "x" }, "slug"],
    ["without a name", { slug: "valid" }, "name"],
    ["with a slug of one character", { slug: "a", name: "x" }, "slug"],
    ["with a slug of 40 characters", { slug: "a".repeat(40), name: "x" }, "slug"],
    ["with upper case in its slug", { slug: "Acme", name: "x" }, "slug"],
    ["with a slug that ends in a hyphen", { slug: "acme-", name: "x" }, "slug"],
    ["with two hyphens in its slug", { slug: "ac--me", name: "x" }, "slug"],
    ["with a slug that ends in a line break", { slug: "valid\n", name: "x" }, "slug"],
    ["with a slug that is an id", { slug: "tnt_00000000000000000000000000", name: "x" }, "slug"],
    ["with its own id", { slug: "valid", name: "x", id: "tnt_00000000000000000000000000" }, "id"],
    ["with a status", { slug: "valid", name: "x", status: "suspended" }, "status"],
    ["with a version", { slug: "valid", name: "x", version: 1 }, "version"],
    ["with a placement", { slug: "valid", name: "x", placement: "dedicated" }, "placement"],
    ["with an empty name", { slug: "valid", name: "" }, "name"],
    ["with a name of spaces", { slug: "valid", name: "  " }, "name"],
    ["with a long name", { slug: "valid", name: "x".repeat(201) }, "name"],
    ["with NUL in its name", { slug: "valid", name: "x\0" }, "name"],
    ["with half a character in its name", { slug: "valid", name: "x\ud800" }, "name"],
    ["with a plan that no plan can be called", { slug: "valid", name: "x", plan: "Big Plan" }, "plan"],
    ["with an unknown limit", { slug: "valid", name: "x", limits: { maxTool: 1 } }, "limits.maxTool"],
    ["with a negative limit", { slug: "valid", name: "x", limits: { maxTools: -1 } }, "limits.maxTools"],
    ["with half a tool", { slug: "valid", name: "x", limits: { maxTools: 1.5 } }, "limits.maxTools"],
    [
      "with a limit beyond reason",
      { slug: "valid", name: "x", limits: { callsPerMonth: 1e12 + 1 } },
      "limits.callsPerMonth",
    ],
    ["with a limit that is text", { slug: "valid", name: "x", limits: { burst: "5" } }, "limits.burst"],
    [
      "with a time that no timer holds",
      { slug: "valid", name: "x", limits: { callTimeoutMs: 2 ** 31 } },
      "limits.callTimeoutMs",
    ],
    [
      "with a window of nothing",
      { slug: "valid", name: "x", limits: { rateWindowSeconds: 0 } },
      "limits.rateWindowSeconds",
    ],
    ["with limits null", { slug: "valid", name: "x", limits: null }, "limits"],
    [
      "with a quota of a bad name",
      { slug: "valid", name: "x", limits: { quotas: { "A b": { limit: 1, period: "day" } } } },
      "limits.quotas.A b",
    ],
    [
      "with a quota of an unknown period",
      { slug: "valid", name: "x", limits: { quotas: { a: { limit: 1, period: "week" } } } },
      "limits.quotas.a.period",
    ],
    [
      "with a quota that says more",
      { slug: "valid", name: "x", limits: { quotas: { a: { limit: 1, period: "day", used: 1 } } } },
      "limits.quotas.a.used",
    ],
    [
      "with too many quotas",
      { slug: "valid", name: "x", limits: { quotas: many(101, { limit: 1, period: "day" }) } },
      "limits.quotas",
    ],
    ["with a tool set of a bad name", { slug: "valid", name: "x", toolSets: ["ok", "not ok"] }, "toolSets.1"],
    ["with too many tool sets", { slug: "valid", name: "x", toolSets: Array(201).fill("a") }, "toolSets"],
    ["with a scope that RFC 6749 does not allow", { slug: "valid", name: "x", scopes: ['a"b'] }, "scopes.0"],
    [
      "with a scope that is between client and issuer",
      { slug: "valid", name: "x", scopes: ["offline_access"] },
      "scopes.0",
    ],
    ["with a scope that is * in part", { slug: "valid", name: "x", scopes: ["tick*"] }, "scopes.0"],
    [
      "with a permission that is * in part",
      { slug: "valid", name: "x", roles: { a: ["b", "c:*d"] } },
      "roles.a.1",
    ],
    ["with two scopes in one", { slug: "valid", name: "x", scopes: ["a b"] }, "scopes.0"],
    ["with a role of a bad name", { slug: "valid", name: "x", roles: { "": ["a"] } }, "roles."],
    ["with a role that is no list", { slug: "valid", name: "x", roles: { editor: "a" } }, "roles.editor"],
    ["with too many roles", { slug: "valid", name: "x", roles: many(201, []) }, "roles"],
    [
      "with too many permissions in all roles together",
      { slug: "valid", name: "x", roles: { ...many(10, Array(200).fill("a")), one: ["a"] } },
      "roles",
    ],
    ["with settings that are a list", { slug: "valid", name: "x", settings: [] }, "settings"],
    ["with NUL in its settings", { slug: "valid", name: "x", settings: { a: ["\0"] } }, "settings"],
    [
      "with half a character in a settings key",
      { slug: "valid", name: "x", settings: { a: { "\udc00": 1 } } },
      "settings",
    ],
    ["with settings nested too deep", { slug: "valid", name: "x", settings: { a: nested(16) } }, "settings"],
    ["with large settings", { slug: "valid", name: "x", settings: { a: "x".repeat(32_768) } }, "settings"],
    ["with a body that is a list", [], ""],
    ["with a body that is null", null, ""],
  ];
  it.each(cases)("%s", async (_, body, path) => {
    const answer = await server.call("POST", "/tenants", { body });
    expect(answer.status).toBe(400);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(answer.body).toMatchObject({
      type: "urn:bulkhead:error:input_invalid",
      title: "The request is not valid.",
      status: 400,
      code: "input_invalid",
    });
    expect((answer.body.errors as { path: string }[]).map((error) => error.path)).toContain(path);
    expect(String(answer.body.detail)).toContain(path);
    expect(server.takeActs()).toMatchObject([
      { action: "tenants.create", outcome: "refused", code: "input_invalid", tenantId: null, target: null },
    ]);
  });

  it.each([
    ['"roles":{"__proto__":["a"]}', "roles.__proto__"],
    ['"roles":{"\\u005f_proto__":["a"]}', "roles.__proto__"],
    ['"limits":{"quotas":{"__proto__":{"limit":1,"period":"day"}}}', "limits.quotas.__proto__"],
    ['"settings":{"__proto__":1}', "settings.__proto__"],
    ['"settings":{"a":[{"b":{"c":{"d":{"__proto__":1}}}}]}', "settings.a.0.b.__proto__"],
  ])("with a member that the schemas would drop, as is a change: %s", async (member, path) => {
    await server.call("PATCH", "/tenants/acme", { body: { roles: { kept: ["a"] } } });
    for (const [method, at, body] of [
      ["POST", "/tenants", `{"slug":"valid","name":"x",${member}}`],
      ["PATCH", "/tenants/acme", `{${member}}`],
    ] as const) {
      const answer = await server.call(method, at, { body });
      expect([answer.status, answer.body.code]).toEqual([400, "input_invalid"]);
      expect(answer.body.errors).toMatchObject([{ path }]);
    }
    expect((await server.call("GET", "/tenants/acme")).body.roles).toEqual({ kept: ["a"] });
    await server.call("PATCH", "/tenants/acme", { body: { roles: {} } });
  });

  it("with settings of nothing but brackets, which would overflow a recursion", async () => {
    const brackets = 100_000;
    const body = `{"slug":"valid","name":"x","settings":{"a":${"[".repeat(brackets)}${"]".repeat(brackets)}}}`;
    const answer = await server.call("POST", "/tenants", { body });
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ errors: [{ path: "settings" }] });
  });

  it("with every error named, and no more than 50", async () => {
    const answer = await server.call("POST", "/tenants", {
      body: { slug: "A", name: "", other: 1, ...many(100, 1) },
    });
    const errors = answer.body.errors as unknown[];
    expect(errors).toHaveLength(50);
    expect(String(answer.body.detail)).toContain("and 45 more");
  });
});

describe("what PostgreSQL can store is taken and given back as it was sent", () => {
  it.each([
    [{ name: "Ünïcödé 漢字 🚀" }],
    [{ settings: { a: nested(14), "": null, n: 1e21, t: 'quote " and \\ and \u2028' } }],
    [{ settings: { __proto__x: 1, constructor: "y" } }],
    [{ scopes: ["a:b", "https://x.example/y"], roles: { "Team.Lead": [] }, toolSets: ["a", "B.c:d-e_f"] }],
    [
      {
        limits: {
          storageMb: 0.5,
          requestsPerMinute: 0,
          burst: 1e12,
          rateWindowSeconds: 0.25,
          callTimeoutMs: 1,
          maxTools: null,
        },
      },
    ],
    [{ limits: { quotas: many(100, { limit: 0, period: "standing" }) } }],
    [{ roles: many(10, Array(200).fill("a")) }],
  ])("%j", async (change) => {
    const answer = await server.call("PATCH", "/tenants/acme", { body: change });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject(change);
    expect((await server.call("GET", "/tenants/acme")).body).toMatchObject(change);
  });
});

describe("a change is refused", () => {
  it.each([
    ["of nothing", {}, ""],
    ["of the slug", { slug: "other" }, "slug"],
    ["of the id", { id: "x" }, "id"],
    ["of the version", { name: "x", version: 7 }, "version"],
    ["of the name to null", { name: null }, "name"],
    ["of the plan to null", { plan: null }, "plan"],
    ["of settings to null", { settings: null }, "settings"],
    ["of limits to null", { limits: null }, "limits"],
  ])("%s", async (_, body, path) => {
    const answer = await server.call("PATCH", "/tenants/acme", { body });
    expect(answer.status).toBe(400);
    expect((answer.body.errors as { path: string }[]).map((error) => error.path)).toContain(path);
  });
});
