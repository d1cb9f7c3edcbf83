import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseIfMatch } from "../../src/admin/if-match.ts";
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

describe("If-Match", () => {
  it.each([
    ['"3"', [3]],
    ["3", [3]],
    [' "3" , "4"', [3, 4]],
    ["*", null],
    ['W/"3"', []],
    ['"abc"', []],
    ['"0"', []],
    ['"03"', []],
    ['"99999999999999999999"', []],
    ["", undefined],
    ['"3', undefined],
    ["3x", undefined],
    ['"3",', undefined],
  ])("%j allows %j", (text, versions) => {
    expect(parseIfMatch(text)).toEqual(versions);
  });

  it("lets one of two writers that read the same version change a tenant", async () => {
    await server.call("POST", "/tenants", { body: { slug: "acme", name: "Acme" } });
    const etag = (await server.call("GET", "/tenants/acme")).headers.get("etag") ?? "";
    const both = await Promise.all(
      ["One", "Two"].map((name) =>
        server.call("PATCH", "/tenants/acme", { body: { name }, headers: { "If-Match": etag } }),
      ),
    );
    expect(both.map((answer) => answer.status).sort()).toEqual([200, 412]);
    const winner = both.find((answer) => answer.status === 200);
    const loser = both.find((answer) => answer.status === 412);
    expect(loser?.body).toMatchObject({ code: "version_conflict", status: 412 });
    expect((await server.call("GET", "/tenants/acme")).body).toMatchObject({
      name: winner?.body.name,
      version: 2,
    });
  });

  it("is heeded by every operation that changes a tenant", async () => {
    await server.call("POST", "/tenants", { body: { slug: "guarded", name: "Guarded" } });
    const stale = { "If-Match": '"7"' };
    const answers = [
      await server.call("PATCH", "/tenants/guarded", { body: { name: "x" }, headers: stale }),
      await server.call("POST", "/tenants/guarded/suspend", { headers: stale }),
      await server.call("POST", "/tenants/guarded/resume", { headers: stale }),
      await server.call("DELETE", "/tenants/guarded", { headers: stale }),
    ];
    expect(answers.map((answer) => [answer.status, answer.body.code])).toEqual(
      Array(4).fill([412, "version_conflict"]),
    );
    expect((await server.call("GET", "/tenants/guarded")).body).toMatchObject({
      version: 1,
      name: "Guarded",
    });
    const fresh = { "If-Match": "1" };
    expect((await server.call("POST", "/tenants/guarded/suspend", { headers: fresh })).status).toBe(200);
    expect((await server.call("DELETE", "/tenants/guarded", { headers: { "If-Match": '"2"' } })).status).toBe(
      200,
    );
  });

  it("is heeded by every operation that changes a plan", async () => {
    await server.call("PUT", "/plans/guarded", { body: {} });
    const stale = { "If-Match": '"7"' };
    expect((await server.call("PUT", "/plans/guarded", { body: {}, headers: stale })).status).toBe(412);
    expect((await server.call("PUT", "/plans/absent", { body: {}, headers: stale })).status).toBe(412);
    expect((await server.call("GET", "/plans/absent")).status).toBe(404);
    expect((await server.call("DELETE", "/plans/guarded", { headers: stale })).status).toBe(412);
    const replaced = await server.call("PUT", "/plans/guarded", { body: {}, headers: { "If-Match": '"1"' } });
    expect(replaced.status).toBe(200);
    expect(replaced.headers.get("etag")).toBe('"2"');
    expect((await server.call("DELETE", "/plans/guarded", { headers: { "If-Match": '"2"' } })).status).toBe(
      200,
    );
  });

  it("that cannot be understood is refused rather than ignored", async () => {
    await server.call("POST", "/tenants", { body: { slug: "odd", name: "Odd" } });
    const answer = await server.call("PATCH", "/tenants/odd", {
      body: { name: "x" },
      headers: { "If-Match": "three" },
    });
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ code: "input_invalid", errors: [{ path: "If-Match" }] });
  });

  it("of a tenant that is not there answers that it is not there", async () => {
    const answer = await server.call("PATCH", "/tenants/nobody", {
      body: { name: "x" },
      headers: { "If-Match": '"1"' },
    });
    expect(answer.body).toMatchObject({ code: "tenant_not_found" });
  });
});

describe("the configuration version", () => {
  const version = async (): Promise<number> => {
    const { rows } = await database.system.run("read configuration", (db) =>
      db.query<{ version: string }>("SELECT version FROM bulkhead.configuration_version"),
    );
    return Number(rows[0]?.version);
  };
  const since = async (before: number) => {
    const { rows } = await database.system.run("read configuration", (db) =>
      db.query<{ tenant_id: string | null }>(
        "SELECT DISTINCT tenant_id FROM bulkhead.configuration_changes WHERE version > $1",
        [before],
      ),
    );
    return rows.map((row) => row.tenant_id);
  };

  it("is raised for all tenants by a change of a plan", async () => {
    const before = await version();
    await server.call("PUT", "/plans/team", { body: { limits: { burst: 9 } } });
    expect(await version()).toBe(before + 1);
    expect(await since(before)).toEqual([null]);
  });

  it("is raised for one tenant by a change of that tenant, and by reading not at all", async () => {
    const { body } = await server.call("POST", "/tenants", { body: { slug: "bumped", name: "Bumped" } });
    const before = await version();
    await server.call("GET", "/tenants/bumped");
    await server.call("POST", "/tenants/bumped/resume");
    expect(await version()).toBe(before);
    await server.call("PATCH", "/tenants/bumped", { body: { name: "Again" } });
    expect(await since(before)).toEqual([body.id]);
    const changed = await version();
    await server.call("DELETE", "/tenants/bumped");
    expect(await since(changed)).toEqual([body.id]);
  });
});
