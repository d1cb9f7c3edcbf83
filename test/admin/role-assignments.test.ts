import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { subjectKey } from "../../src/tenancy/tenant-snapshot.ts";
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
  await server.call("PATCH", "/tenants/acme", { body: { roles: { agent: ["a"], lead: ["b"] } } });
  await server.call("PATCH", "/tenants/globex", { body: { roles: { pilot: ["c"] } } });
});
afterAll(() => server.stop());
beforeEach(async () => {
  await server.database.admin("DELETE FROM bulkhead.role_assignments");
  server.events.length = 0;
});

const ISSUER = "https://idp.example/";
const ADA = { issuer: ISSUER, subject: "ada" };
const assign = (tenant: string, body: unknown) =>
  server.call("PUT", `/tenants/${tenant}/role-assignments`, { body });
const unassign = (tenant: string, query: Record<string, string>) =>
  server.call("DELETE", `/tenants/${tenant}/role-assignments?${new URLSearchParams(query)}`);

describe("assigning roles", () => {
  it("answers 201, then 200, gives the subject these roles alone, and names nobody in its events", async () => {
    const changes = server.changes();
    const first = await assign("acme", { ...ADA, roles: ["agent", "lead"] });
    expect([first.status, first.body]).toEqual([
      201,
      { ...ADA, roles: ["agent", "lead"], createdAt: expect.any(String), issuerRegistered: false },
    ]);
    const second = await server.callAs("acme", "PUT", "/tenants/acme/role-assignments", {
      ...ADA,
      roles: ["lead"],
    });
    expect([second.status, second.body]).toEqual([200, { ...first.body, roles: ["lead"] }]);
    const snapshot = await server.snapshot("acme");
    expect([...snapshot.roleAssignments]).toEqual([[subjectKey(ISSUER, "ada"), ["lead"]]]);
    expect((await server.snapshot("globex")).roleAssignments.size).toBe(0);
    expect(server.changes()).toBe(changes + 2);
    expect(server.takeActs()).toMatchObject([
      { action: "role-assignments.put", target: null, tenantId: snapshot.id, outcome: "ok" },
      { action: "role-assignments.put", target: null, actor: ADMINISTRATOR, outcome: "ok" },
    ]);
  });

  it("says whether the tenant takes tokens of the issuer", async () => {
    const issuer = "https://registered.example/";
    const body = { issuer, jwksUri: "https://registered.example/k", tenantClaim: null };
    expect((await server.call("POST", "/tenants/acme/issuers", { body })).status).toBe(201);
    const mine = await assign("acme", { issuer, subject: "ada", roles: ["agent"] });
    expect(mine.body.issuerRegistered).toBe(true);
    const other = await assign("globex", { issuer, subject: "ada", roles: ["pilot"] });
    expect(other.body.issuerRegistered).toBe(false);
  });

  it("is refused for roles that the tenant does not define, each named by its place", async () => {
    const answer = await assign("acme", { ...ADA, roles: ["pilot", "agent", "constructor"] });
    expect(answer.body).toMatchObject({ status: 400, code: "input_invalid" });
    expect(errorPaths(answer)).toEqual(["roles.0", "roles.2"]);
    expect((await server.snapshot("acme")).roleAssignments.size).toBe(0);
    expect((await assign("globex", { ...ADA, roles: ["pilot"] })).status).toBe(201);
  });

  it("is refused for a tenant that is not there, or is another's", async () => {
    const body = { ...ADA, roles: ["agent"] };
    for (const name of ["nobody", "tnt_00000000000000000000000000", "NOBODY"]) {
      expect((await assign(name, body)).body).toMatchObject({ code: "tenant_not_found" });
    }
    const other = await server.callAs("acme", "PUT", "/tenants/globex/role-assignments", {
      ...ADA,
      roles: ["pilot"],
    });
    expect(other.body).toMatchObject({ code: "tenant_not_found" });
    expect((await server.snapshot("globex")).roleAssignments.size).toBe(0);
  });

  it("never passes 2,000 subjects, however many come at once, and then still replaces", async () => {
    await server.database.admin(
      `INSERT INTO bulkhead.role_assignments (tenant_id, issuer, subject, roles)
       SELECT t.id, 'https://x', n::text, '{agent}' FROM bulkhead.tenants t, generate_series(1, 1996) AS n WHERE t.slug = 'acme'`,
    );
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        assign("acme", { issuer: ISSUER, subject: `new ${i}`, roles: ["agent"] }),
      ),
    );
    expect(answers.filter((answer) => answer.status === 201)).toHaveLength(4);
    expect(answers.filter((answer) => answer.body.code === "too_many")).toHaveLength(6);
    expect((await assign("acme", { issuer: "https://x", subject: "9", roles: ["lead"] })).status).toBe(200);
  });

  it("is given up to 20 roles of a tenant", async () => {
    const names = Array.from({ length: 20 }, (_, i) => `r${i}`);
    const roles = Object.fromEntries(names.map((name) => [name, ["a"]]));
    await server.call("PATCH", "/tenants/globex", { body: { roles: { pilot: ["c"], ...roles } } });
    expect((await assign("globex", { ...ADA, roles: names })).status).toBe(201);
    await server.call("PATCH", "/tenants/globex", { body: { roles: { pilot: ["c"] } } });
  });

  it("never passes 1 MB in all, and then still replaces by what is no longer", async () => {
    await server.database.admin(
      `INSERT INTO bulkhead.role_assignments (tenant_id, issuer, subject, roles)
       SELECT t.id, 'https://x', lpad(n::text, 1038, 'x'), '{a}' FROM bulkhead.tenants t, generate_series(1, 999) AS n
        WHERE t.slug = 'acme'`,
    );
    // 999 of 9, 1,038 and 1 bytes; the one whose role is filled up has a space more.
    const subject = "ü".repeat(255);
    const issuer = `https://x/${"y".repeat(490)}`;
    const large = { issuer, subject, roles: ["agent", "lead"] };
    const size = 500 + 510 + 10;
    const fill = 1_048_576 - 999 * 1_048 - size;
    await server.database.admin(
      `UPDATE bulkhead.role_assignments SET roles = ARRAY['a', repeat('b', $1)] WHERE subject LIKE '%xx1'`,
      [fill],
    );
    expect((await assign("acme", large)).body).toMatchObject({ status: 409, code: "too_many" });
    await server.database.admin(
      `UPDATE bulkhead.role_assignments SET roles = ARRAY['a', repeat('b', $1)] WHERE subject LIKE '%xx1'`,
      [fill - 1],
    );
    expect((await assign("acme", large)).status).toBe(201);
    expect((await assign("acme", { ...ADA, roles: ["agent"] })).body.code).toBe("too_many");
    expect((await assign("acme", large)).status).toBe(200);
    expect((await assign("acme", { ...large, roles: ["lead"] })).status).toBe(200);
    expect((await assign("globex", { ...ADA, roles: ["pilot"] })).status).toBe(201);
  });

  it.each([
    ["no roles", { ...ADA, roles: [] }, "roles"],
    ["a role that is no list", { ...ADA, roles: "agent" }, "roles"],
    ["a role twice", { ...ADA, roles: ["agent", "agent"] }, "roles"],
    ["a role of a bad name", { ...ADA, roles: ["agent "] }, "roles.0"],
    ["a prototype as role", { ...ADA, roles: ["__proto__"] }, "roles.0"],
    ["21 roles", { ...ADA, roles: Array.from({ length: 21 }, (_, i) => `r${i}`) }, "roles"],
    ["no subject", { issuer: ISSUER, roles: ["agent"] }, "subject"],
    ["an empty subject", { ...ADA, subject: "", roles: ["agent"] }, "subject"],
    ["a subject that is a list", { ...ADA, subject: ["ada"], roles: ["agent"] }, "subject"],
    ["a subject that is an object", { ...ADA, subject: {}, roles: ["agent"] }, "subject"],
    ["NUL in the subject", { ...ADA, subject: "a\0", roles: ["agent"] }, "subject"],
    ["half a character in the subject", { ...ADA, subject: "\udc00", roles: ["agent"] }, "subject"],
    ["no issuer", { subject: "ada", roles: ["agent"] }, "issuer"],
    ["an issuer with a line break", { ...ADA, issuer: `${ISSUER}\n`, roles: ["agent"] }, "issuer"],
    ["permissions", { ...ADA, roles: ["agent"], permissions: ["a"] }, "permissions"],
    ["a body that is a list", [], ""],
  ])("is refused with %s", async (_, body, path) => {
    const answer = await assign("acme", body);
    expect([answer.status, answer.body.code]).toEqual([400, "input_invalid"]);
    expect(errorPaths(answer)).toEqual([path]);
  });

  it("is refused with a prototype, and beyond 256 KB", async () => {
    const polluted = await assign(
      "acme",
      `{"issuer":"${ISSUER}","subject":"x","roles":["agent"],"__proto__":{}}`,
    );
    expect([polluted.status, errorPaths(polluted)]).toEqual([400, ["__proto__"]]);
    expect((await assign("acme", `{"subject":"${"x".repeat(1_000_000)}"}`)).status).toBe(413);
  });
});

describe("a tenant's role assignments", () => {
  it("are listed in order of creation, page by page, also those of one instant", async () => {
    const created: unknown[] = [];
    for (const subject of ["ada", "ada ", "Ada", "а".repeat(255)]) {
      const answer = await assign("acme", { issuer: ISSUER, subject, roles: ["agent"] });
      const { issuerRegistered, ...assigned } = answer.body;
      created.push(assigned);
    }
    await assign("globex", { ...ADA, roles: ["pilot"] });
    const pages = await allPages(server, "/tenants/acme/role-assignments", 3);
    expect(pages.map((page) => page.length)).toEqual([3, 1]);
    expect(pages.flat()).toEqual(created);
    expect((await server.callAs("acme", "GET", "/tenants/globex/role-assignments")).status).toBe(404);
    expect((await server.call("GET", "/tenants/nobody/role-assignments")).status).toBe(404);

    await server.database.admin("DELETE FROM bulkhead.role_assignments");
    await server.database.admin(
      `INSERT INTO bulkhead.role_assignments (tenant_id, issuer, subject, roles)
       SELECT t.id, 'https://x', n::text, '{agent}' FROM bulkhead.tenants t, generate_series(1, 60) AS n WHERE t.slug = 'acme'`,
    );
    const together = (await allPages(server, "/tenants/acme/role-assignments", 7)).flat();
    expect(together).toHaveLength(60);
    expect(new Set(together.map((item) => item.subject)).size).toBe(60);
  });

  it("are taken from a subject once, and from exactly that one", async () => {
    await assign("acme", { ...ADA, roles: ["agent"] });
    await assign("globex", { ...ADA, roles: ["pilot"] });
    const changes = server.changes();
    const unknown = withoutOperation(await unassign("acme", { issuer: ISSUER, subject: "nobody" }));
    expect(unknown).toMatchObject({ status: 404, rest: { code: "role_assignment_not_found" } });
    for (const subject of ["Ada", "ada ", "аda"]) {
      expect(withoutOperation(await unassign("acme", { issuer: ISSUER, subject }))).toEqual(unknown);
    }
    expect(
      withoutOperation(await unassign("acme", { issuer: "https://idp.example", subject: "ada" })),
    ).toEqual(unknown);
    expect(server.changes()).toBe(changes);
    const answer = await unassign("acme", ADA);
    expect([answer.status, answer.body]).toMatchObject([200, { ...ADA, roles: ["agent"] }]);
    expect(withoutOperation(await unassign("acme", ADA))).toEqual(unknown);
    expect((await server.snapshot("globex")).roleAssignments.size).toBe(1);
    expect((await unassign("nobody", ADA)).body).toMatchObject({ code: "tenant_not_found" });
  });

  it.each([
    ["no subject", `issuer=${encodeURIComponent(ISSUER)}`, "subject"],
    ["no issuer", "subject=ada", "issuer"],
    ["two subjects", `issuer=${encodeURIComponent(ISSUER)}&subject=a&subject=b`, "subject"],
    ["an unknown parameter", `issuer=${encodeURIComponent(ISSUER)}&subject=a&role=x`, "role"],
    ["NUL", `issuer=${encodeURIComponent(ISSUER)}&subject=%00`, "subject"],
  ])("are not taken with %s", async (_, query, path) => {
    const answer = await server.call("DELETE", `/tenants/acme/role-assignments?${query}`);
    expect([answer.status, errorPaths(answer)]).toEqual([400, [path]]);
  });
});
