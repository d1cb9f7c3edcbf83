import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { removeExpired } from "../../src/data/housekeeping.ts";
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
});
afterAll(() => server.stop());
beforeEach(async () => {
  await server.database.admin("DELETE FROM bulkhead.revocations");
  server.events.length = 0;
});

const ISSUER = "https://idp.example/";
const HOUR_MS = 3_600_000;
const revoke = (tenant: string, body: unknown) =>
  server.call("POST", `/tenants/${tenant}/revocations`, { body });
const operator = { kind: "operator", subject: "operator", issuer: null, clientId: null };

describe("revoking", () => {
  it("a token refuses that one, for as long as it could live", async () => {
    const changes = server.changes();
    const answer = await revoke("acme", { issuer: ISSUER, jti: "t 1" });
    expect(answer.status).toBe(201);
    expect(answer.body).toEqual({
      id: expect.stringMatching(/^rev_/),
      kind: "token",
      issuer: ISSUER,
      jti: "t 1",
      expiresAt: expect.any(String),
      createdAt: expect.any(String),
      createdBy: operator,
      issuerRegistered: false,
    });
    const kept = Date.parse(String(answer.body.expiresAt)) - Date.now();
    expect(Math.abs(kept - 25 * HOUR_MS)).toBeLessThan(60_000);
    const { revocations } = await server.snapshot("acme");
    expect(revocations).toEqual({
      tokens: new Set([subjectKey(ISSUER, "t 1")]),
      signingKeys: new Set(),
      subjects: new Map(),
      notBefore: null,
    });
    expect((await server.snapshot("globex")).revocations.tokens.size).toBe(0);
    expect(server.changes()).toBe(changes + 1);
    expect(server.takeActs()).toMatchObject([
      { action: "revocations.create", target: answer.body.id, outcome: "ok" },
    ]);
  });

  it("a subject refuses what was issued until now where no moment is named", async () => {
    const before = Date.now();
    const answer = await revoke("acme", { issuer: ISSUER, subject: "ada" });
    const moment = Date.parse(String(answer.body.notBefore));
    expect(moment).toBeGreaterThanOrEqual(before);
    expect(moment).toBeLessThanOrEqual(Date.now());
    expect(Date.parse(String(answer.body.expiresAt))).toBe(moment + 25 * HOUR_MS);
    const { subjects } = (await server.snapshot("acme")).revocations;
    expect([...subjects]).toEqual([[subjectKey(ISSUER, "ada"), moment]]);
  });

  it("a signing key, and everything of the tenant, refuse for good", async () => {
    const key = await revoke("acme", { issuer: ISSUER, keyId: "k1" });
    expect(key.body).toMatchObject({ kind: "signing_key", issuer: ISSUER, keyId: "k1", expiresAt: null });
    const all = await revoke("acme", { notBefore: "2026-01-31T12:00:00+01:00" });
    expect(all.body).toMatchObject({
      kind: "tenant",
      notBefore: "2026-01-31T11:00:00.000Z",
      expiresAt: null,
    });
    expect(all.body).not.toHaveProperty("issuer");
    expect(all.body).not.toHaveProperty("issuerRegistered");
    const { revocations } = await server.snapshot("acme");
    expect([...revocations.signingKeys]).toEqual([subjectKey(ISSUER, "k1")]);
    expect(revocations.notBefore).toBe(Date.parse("2026-01-31T11:00:00Z"));
  });

  it("says whether the tenant takes tokens of the issuer, as it is at once", async () => {
    const issuer = "https://registered.example/";
    const body = { issuer, jwksUri: "https://registered.example/k", tenantClaim: null };
    expect((await revoke("acme", { issuer, jti: "1" })).body.issuerRegistered).toBe(false);
    expect((await server.call("POST", "/tenants/acme/issuers", { body })).status).toBe(201);
    for (const named of [{ jti: "1" }, { subject: "a" }, { keyId: "k" }]) {
      expect((await revoke("acme", { issuer, ...named })).body.issuerRegistered).toBe(true);
      expect((await revoke("globex", { issuer, ...named })).body.issuerRegistered).toBe(false);
    }
  });

  it("takes the moment as tokens write it, and rounds it up", async () => {
    const answer = await revoke("acme", { notBefore: 1_700_000_000.0001 });
    expect(answer.body).toMatchObject({ notBefore: new Date(1_700_000_000_001).toISOString() });
  });

  it("again answers 200 with the same revocation, and the later moment holds", async () => {
    const subject = { issuer: ISSUER, subject: "ada" };
    const first = await revoke("acme", { ...subject, notBefore: "2026-03-01T00:00:00Z" });
    const earlier = await revoke("acme", { ...subject, notBefore: "2026-02-01T00:00:00Z" });
    expect([earlier.status, earlier.body]).toEqual([200, first.body]);
    const later = await server.callAs("acme", "POST", "/tenants/acme/revocations", {
      ...subject,
      notBefore: "2026-04-01T00:00:00Z",
    });
    expect(later.status).toBe(200);
    expect(later.body).toEqual({
      ...first.body,
      notBefore: "2026-04-01T00:00:00.000Z",
      expiresAt: "2026-04-02T01:00:00.000Z",
    });
    for (const body of [{ issuer: ISSUER, jti: "x" }, { issuer: ISSUER, keyId: "x" }, { notBefore: 1 }]) {
      const { body: made } = await revoke("acme", body);
      const again = await revoke("acme", body);
      expect([again.status, again.body.id]).toEqual([200, made.id]);
    }
    expect((await server.call("GET", "/tenants/acme/revocations")).body.items).toHaveLength(4);
  });

  it("at once leaves one row with the latest moment", async () => {
    const moments = Array.from({ length: 10 }, (_, i) => 1_700_000_000 + ((i * 7) % 10));
    const answers = await Promise.all(
      moments.map((notBefore) => revoke("acme", { issuer: ISSUER, subject: "ada", notBefore })),
    );
    expect(answers.map((answer) => answer.status).sort()).toEqual([...Array(9).fill(200), 201]);
    const { subjects } = (await server.snapshot("acme")).revocations;
    expect([...subjects.values()]).toEqual([1_700_000_009_000]);
  });

  it("is also a tenant administrator's, for that tenant alone", async () => {
    const body = { issuer: "https://gone.example", jti: "x" };
    const answer = await server.callAs("acme", "POST", "/tenants/acme/revocations", body);
    expect(answer.body).toMatchObject({ ...body, createdBy: ADMINISTRATOR });
    const other = await server.callAs("acme", "POST", "/tenants/globex/revocations", body);
    expect(other.body).toMatchObject({ code: "tenant_not_found" });
    expect((await server.snapshot("globex")).revocations.tokens.size).toBe(0);
  });

  it("never passes 5,000, however many come at once, and then still repeats", async () => {
    await server.database.admin(
      `INSERT INTO bulkhead.revocations (id, tenant_id, kind, issuer, value, created_by)
       SELECT 'rev_' || lpad(n::text, 26, '0'), t.id, 'token', 'https://x', n::text, '{}'
         FROM bulkhead.tenants t, generate_series(1, 4997) AS n WHERE t.slug = 'acme'`,
    );
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, i) => revoke("acme", { issuer: ISSUER, jti: `new ${i}` })),
    );
    expect(answers.filter((answer) => answer.status === 201)).toHaveLength(3);
    expect(answers.filter((answer) => answer.body.code === "too_many")).toHaveLength(5);
    expect((await revoke("acme", { issuer: "https://x", jti: "17" })).status).toBe(200);
    expect((await revoke("globex", { issuer: ISSUER, jti: "x" })).status).toBe(201);
  });

  it("never passes 1 MB in all, and then still repeats", async () => {
    await server.database.admin(
      `INSERT INTO bulkhead.revocations (id, tenant_id, kind, issuer, value, created_by)
       SELECT 'rev_' || lpad(n::text, 26, '0'), t.id, 'token', 'https://x', lpad(n::text, 1039, 'x'), '{}'
         FROM bulkhead.tenants t, generate_series(1, 1000) AS n WHERE t.slug = 'acme'`,
    );
    // 576 bytes are left.
    const issuer = `https://x/${"y".repeat(321)}`;
    const fits = { issuer, jti: "z".repeat(245) };
    expect((await revoke("acme", { ...fits, jti: `${fits.jti}z` })).body).toMatchObject({
      status: 409,
      code: "too_many",
    });
    expect((await revoke("acme", fits)).status).toBe(201);
    expect((await revoke("acme", fits)).status).toBe(200);
    expect((await revoke("acme", { issuer: ISSUER, jti: "x" })).body.code).toBe("too_many");
    // Everything of the tenant: that names nothing, and is what must not fail.
    expect((await revoke("acme", { notBefore: 1 })).status).toBe(201);
    expect((await revoke("globex", { issuer: ISSUER, jti: "x" })).status).toBe(201);
  });

  it("is refused for a tenant that is not there", async () => {
    for (const name of ["nobody", "tnt_00000000000000000000000000", "NOBODY"]) {
      expect((await revoke(name, { notBefore: 1 })).body).toMatchObject({ code: "tenant_not_found" });
    }
  });

  const I = { issuer: ISSUER };
  it.each([
    ["of nothing", {}, ""],
    ["of an issuer", I, ""],
    ["of a token of nobody", { jti: "x" }, ""],
    ["of a subject of nobody", { subject: "x", notBefore: 1 }, ""],
    ["of a token and its subject", { ...I, jti: "x", subject: "y" }, ""],
    ["of a token and a key", { ...I, jti: "x", keyId: "y" }, ""],
    ["of a token until a moment", { ...I, jti: "x", notBefore: 1 }, ""],
    ["of a key until a moment", { ...I, keyId: "x", notBefore: 1 }, ""],
    ["of an issuer until a moment", { ...I, notBefore: 1 }, ""],
    ["with a kind", { ...I, jti: "x", kind: "token" }, "kind"],
    ["of an empty token", { ...I, jti: "" }, "jti"],
    ["of two tokens", { ...I, jti: ["x", "y"] }, "jti"],
    ["of an object", { ...I, subject: { x: 1 } }, "subject"],
    ["of a number", { ...I, subject: 7 }, "subject"],
    ["with NUL", { ...I, subject: "a\0" }, "subject"],
    ["with a line break", { ...I, keyId: "a\nb" }, "keyId"],
    ["with half a character", { ...I, jti: "a\ud800" }, "jti"],
    ["of too long a subject", { ...I, subject: "x".repeat(256) }, "subject"],
    ["of an issuer that is no URL", { issuer: "idp.example", jti: "x" }, "issuer"],
    ["of an issuer that ends in a space", { issuer: `${ISSUER} `, jti: "x" }, "issuer"],
    ["of an issuer with a line break", { issuer: `${ISSUER}\nx`, jti: "x" }, "issuer"],
    [
      "of an issuer with a letter that looks like another",
      { issuer: "https://іdp.example/", jti: "x" },
      "issuer",
    ],
    ["of too long an issuer", { issuer: `https://x/${"a".repeat(500)}`, jti: "x" }, "issuer"],
    ["until null", { notBefore: null }, "notBefore"],
    ["until a day", { notBefore: "2026-01-31" }, "notBefore"],
    ["until a time of nowhere", { notBefore: "2026-01-31T12:00:00" }, "notBefore"],
    ["until a day that is none", { notBefore: "2026-02-30T12:00:00Z" }, "notBefore"],
    ["until before 1970", { notBefore: "1969-12-31T23:59:59Z" }, "notBefore"],
    ["until a negative time", { notBefore: -1 }, "notBefore"],
    ["until the end of time", { notBefore: 1e300 }, "notBefore"],
    ["until seconds as text", { notBefore: "1700000000" }, "notBefore"],
    ["until milliseconds", { notBefore: Date.now() }, "notBefore"],
    ["until six minutes ahead", { notBefore: Date.now() / 1000 + 360 }, "notBefore"],
  ])("%s is refused", async (_, body, path) => {
    const answer = await revoke("acme", body);
    expect([answer.status, answer.body.code]).toEqual([400, "input_invalid"]);
    expect(errorPaths(answer)).toEqual([path]);
    expect((await server.call("GET", "/tenants/acme/revocations")).body.items).toEqual([]);
  });

  it("until four minutes ahead is taken: clocks differ", async () => {
    expect((await revoke("acme", { notBefore: Math.floor(Date.now() / 1000) + 240 })).status).toBe(201);
  });

  it("is refused with a prototype, as a list, and beyond 256 KB", async () => {
    const polluted = await revoke("acme", '{"issuer":"https://x","__proto__":{"jti":"x"}}');
    expect(polluted.status).toBe(400);
    expect(errorPaths(polluted)).toContain("__proto__");
    expect((await revoke("acme", "[]")).status).toBe(400);
    expect((await revoke("acme", `{"jti":"${"x".repeat(1_000_000)}"}`)).status).toBe(413);
  });
});

describe("a tenant's revocations", () => {
  it("are listed to it in order of creation, page by page, and gone when they have expired", async () => {
    const created: unknown[] = [];
    for (let i = 0; i < 5; i++) {
      const { issuerRegistered, ...revoked } = (await revoke("acme", { issuer: ISSUER, jti: `${i}` })).body;
      created.push(revoked);
    }
    await revoke("globex", { issuer: ISSUER, jti: "0" });
    const pages = await allPages(server, "/tenants/acme/revocations", 2);
    expect(pages.map((page) => page.length)).toEqual([2, 2, 1]);
    expect(pages.flat()).toEqual(created);
    expect((await server.callAs("acme", "GET", "/tenants/acme/revocations")).body.items).toEqual(created);
    expect((await server.callAs("acme", "GET", "/tenants/globex/revocations")).status).toBe(404);

    await revoke("acme", { issuer: ISSUER, subject: "long ago", notBefore: 1 });
    await removeExpired(server.database.system);
    expect((await server.call("GET", "/tenants/acme/revocations")).body.items).toEqual(created);
  });

  it("are taken back one by one, once", async () => {
    const { issuerRegistered, ...body } = (await revoke("acme", { issuer: ISSUER, jti: "x" })).body;
    const changes = server.changes();
    server.events.length = 0;
    const path = `/tenants/acme/revocations/${String(body.id)}`;
    const answer = await server.callAs("acme", "DELETE", path);
    expect([answer.status, answer.body]).toEqual([200, body]);
    expect(server.changes()).toBe(changes + 1);
    expect(server.takeActs()).toMatchObject([{ action: "revocations.delete", target: body.id }]);
    expect((await server.snapshot("acme")).revocations.tokens.size).toBe(0);
    expect((await server.call("DELETE", path)).body).toMatchObject({ code: "revocation_not_found" });
  });

  it("of another tenant answer as those that do not exist", async () => {
    const { body } = await revoke("globex", { issuer: ISSUER, jti: "x" });
    const unknown = withoutOperation(
      await server.call("DELETE", "/tenants/acme/revocations/rev_00000000000000000000000000"),
    );
    expect(unknown).toMatchObject({ status: 404, rest: { code: "revocation_not_found" } });
    for (const id of [String(body.id), "x", "REV_00000000000000000000000000", "a%00b"]) {
      const path = `/tenants/acme/revocations/${id}`;
      expect(withoutOperation(await server.call("DELETE", path))).toEqual(unknown);
      expect(withoutOperation(await server.callAs("acme", "DELETE", path))).toEqual(unknown);
    }
    expect((await server.snapshot("globex")).revocations.tokens.size).toBe(1);
  });
});
