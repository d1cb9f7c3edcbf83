import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { SystemDoor } from "../../src/data/system-door.ts";
import { createTestDatabase } from "../support/database.ts";
import { type AdminServer, startAdminServer } from "./admin-server.ts";

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

describe("plans", () => {
  it("are listed", async () => {
    const answer = await server.call("GET", "/plans");
    expect(answer.status).toBe(200);
    const names = (answer.body.items as { name: string }[]).map((plan) => plan.name);
    expect(names.sort()).toEqual(expect.arrayContaining(["enterprise", "free", "team"]));
    expect(answer.body).not.toHaveProperty("nextCursor");
    expect(server.takeActs()).toMatchObject([
      { action: "plans.list", outcome: "ok", target: null, tenantId: null },
    ]);
  });

  it("are created by PUT, then replaced as a whole", async () => {
    const changes = server.changes();
    const created = await server.call("PUT", "/plans/gold", {
      body: { limits: { burst: 5 }, toolSets: ["a"] },
    });
    expect(created.status).toBe(201);
    expect(created.headers.get("etag")).toBe('"1"');
    expect(created.body).toEqual({
      name: "gold",
      limits: { burst: 5 },
      toolSets: ["a"],
      version: 1,
      createdAt: expect.any(String),
      updatedAt: expect.any(String),
    });
    const replaced = await server.call("PUT", "/plans/gold", { body: { limits: { maxTools: null } } });
    expect(replaced.status).toBe(200);
    expect(replaced.body).toMatchObject({ toolSets: [], version: 2, createdAt: created.body.createdAt });
    expect(replaced.body.limits).toEqual({ maxTools: null });
    expect((await server.call("GET", "/plans/gold")).body).toEqual(replaced.body);
    expect(server.changes()).toBe(changes + 2);
    expect(server.takeActs().map(({ action, target }) => [action, target])).toEqual([
      ["plans.put", "gold"],
      ["plans.put", "gold"],
      ["plans.get", "gold"],
    ]);
  });

  it("change what holds for their tenants", async () => {
    await server.call("PUT", "/plans/basic", { body: { limits: { maxTools: 1 } } });
    await server.call("POST", "/tenants", { body: { slug: "tenant", name: "T", plan: "basic" } });
    await server.call("PUT", "/plans/basic", { body: { limits: { maxTools: 2 }, toolSets: ["x"] } });
    expect((await server.call("GET", "/tenants/tenant")).body).toMatchObject({
      version: 1,
      effectiveLimits: { maxTools: 2 },
      effectiveToolSets: ["x"],
    });
  });

  it("are not deleted while a tenant is on them", async () => {
    await server.call("PUT", "/plans/busy", { body: {} });
    await server.call("POST", "/tenants", { body: { slug: "guest", name: "G", plan: "busy" } });
    const refused = await server.call("DELETE", "/plans/busy");
    expect(refused.status).toBe(409);
    expect(refused.body).toMatchObject({ code: "plan_in_use" });
    await server.call("PATCH", "/tenants/guest", { body: { plan: "free" } });
    const deleted = await server.call("DELETE", "/plans/busy");
    expect(deleted.status).toBe(200);
    expect(deleted.body).toMatchObject({ name: "busy" });
    expect((await server.call("GET", "/plans/busy")).status).toBe(404);
  });

  it.each(["nothing", "No%20Plan", "x".repeat(60)])("answer 404 to the name %s", async (name) => {
    for (const method of ["GET", "DELETE"]) {
      const answer = await server.call(method, `/plans/${name}`);
      expect(answer.status).toBe(404);
      expect(answer.body).toMatchObject({ code: "plan_not_found" });
    }
  });

  it.each([
    ["Gold", {}, "p"],
    ["1st", {}, "p"],
    ["ok", { limit: {} }, "limit"],
    ["ok", { limits: { burst: -1 } }, "limits.burst"],
    ["ok", { toolSets: null }, "toolSets"],
    ["ok", { name: "other" }, "name"],
  ])("are refused as %s with %j", async (name, body, path) => {
    const answer = await server.call("PUT", `/plans/${name}`, { body });
    expect(answer.status).toBe(400);
    expect((answer.body.errors as { path: string }[]).map((error) => error.path)).toContain(path);
  });
});
