import { describe, expect, test } from "vitest";
import {
  type AccessExplanation,
  explainAccess,
  type ImaginedCaller,
} from "../../src/admin/explain-access.ts";
import { compileCatalog } from "../../src/catalog/catalog.ts";
import { defineServer, defineTool, type Visibility } from "../../src/catalog/define.ts";
import { createTenantViews, type EntryName } from "../../src/catalog/tenant-view.ts";
import type { ApiKeyId, IssuerId } from "../../src/core/ids.ts";
import { isRefusal } from "../../src/core/refusal.ts";
import { createAccessPolicy } from "../../src/identity/access-policy.ts";
import { principalOfToken } from "../../src/identity/principal-of.ts";
import { subjectKey, type TenantSnapshot, type TrustedIssuer } from "../../src/tenancy/tenant-snapshot.ts";
import { tenantSnapshot } from "../support/tenant-snapshot.ts";

const tool = (name: string, visibility: Visibility = {}) =>
  defineTool({ name, description: `Does ${name}.`, run: () => name, ...visibility });
const catalog = compileCatalog(
  defineServer({
    name: "desk",
    version: "1",
    tools: [
      tool("list_hours"),
      tool("get_ticket", { requires: "tickets:read" }),
      tool("close_ticket", { requires: "tickets:write" }),
      tool("report", { requires: "reports:read", toolSet: "reports" }),
      tool("theirs", { requires: "tickets:read", tenants: ["globex"] }),
      tool("last"),
    ],
    resources: [{ uri: "desk://tickets/{id}", name: "ticket", requires: "tickets:read", read: () => "" }],
    prompts: [{ name: "reply", requires: "tickets:read", get: () => "" }],
  }),
);
const policy = createAccessPolicy(catalog.hierarchy, catalog.permissions);
const views = createTenantViews({
  catalog,
  permits: (granted, required) => policy.decide(granted, required).allowed,
  onCut: () => {},
});

const [ONE, TWO] = ["https://one.example", "https://two.example"] as const;
const issuer = (name: string): TrustedIssuer => ({
  id: `iss_${name}` as IssuerId,
  issuer: name,
  jwksUri: `${name}/keys`,
  broker: false,
  audience: null,
  otherAudiences: [],
  tenantClaim: null,
  tenantClaimForm: "text",
  tenantValue: null,
  scopeClaims: ["scope"],
  rolesClaim: null,
  algorithms: ["ES256"],
  tokenType: "at+jwt",
  maxLifetimeSeconds: 3_600,
  introspection: null,
  development: false,
});
const KEY = "key_1" as ApiKeyId;
const acme: TenantSnapshot = tenantSnapshot("acme", {
  issuers: [issuer(ONE), issuer(TWO)],
  roles: {
    agent: ["tickets:write", "customers:read"],
    lead: ["tickets:*"],
    owner: ["admin"],
    reader: ["tickets:read"],
  },
  roleAssignments: new Map([
    [subjectKey(ONE, "u1"), ["agent"]],
    [subjectKey(ONE, "u2"), ["reader", "gone"]],
    [subjectKey(ONE, "u3"), ["agent"]],
    [subjectKey(TWO, "u3"), ["reader"]],
    // Of an issuer that the tenant no longer trusts.
    [subjectKey("https://old.example", "u4"), ["owner"]],
  ]),
  apiKeys: new Map([
    [KEY, { id: KEY, name: "nightly", secretHash: "", permissions: ["*:read"], createdAt: 0, expiresAt: 1 }],
  ]),
  limits: { maxTools: 3, maxResources: null },
});

const nobody: ImaginedCaller = { subject: null, issuer: null, scopes: [], roles: [], key: null };

function ask(caller: Partial<ImaginedCaller>, name: string, asker: "operator" | "tenant" = "operator") {
  const kind: EntryName["kind"] = name.includes("://") ? "resource" : name === "reply" ? "prompt" : "tool";
  return explainAccess({
    views,
    snapshot: acme,
    policy,
    target: { kind, name },
    caller: { ...nobody, ...caller },
    asker,
  });
}

function explained(...question: Parameters<typeof ask>): AccessExplanation {
  const answer = ask(...question);
  if (isRefusal(answer)) throw new TypeError(answer.detail);
  return answer;
}

test("an explanation says all that there is to say", () => {
  expect(
    explained(
      { subject: "u1", scopes: ["tickets:read", "tickets:read"], roles: ["agent", "reader", "x"] },
      "get_ticket",
    ),
  ).toEqual({
    allowed: true,
    visible: true,
    presence: "present",
    decision: { reason: "granted", permission: "tickets:read", by: "tickets:read", from: "scope" },
    subject: { subject: "u1", issuer: ONE },
    roles: [
      { name: "agent", source: "assigned", defined: true },
      { name: "reader", source: "given", defined: true },
      { name: "x", source: "given", defined: false },
    ],
    grants: [
      { permission: "tickets:read", from: "scope", source: "scope" },
      { permission: "tickets:write", from: "role agent", source: "assigned role" },
      { permission: "customers:read", from: "role agent", source: "assigned role" },
      { permission: "tickets:read", from: "role reader", source: "given role" },
    ],
    why: "u1 may call get_ticket: it needs tickets:read, which a scope of the token grants.",
  });
});

describe("the sentence", () => {
  test.each<[caller: Partial<ImaginedCaller>, name: string, why: string]>([
    [
      { subject: "u1" },
      "close_ticket",
      "u1 may call close_ticket: it needs tickets:write, which the role agent grants.",
    ],
    [
      { subject: "u1" },
      "desk://tickets/7",
      "u1 may read desk://tickets/7: it needs tickets:read, which tickets:write implies, which the role agent grants.",
    ],
    [
      { subject: "u9", roles: ["lead"] },
      "reply",
      "u9 may use reply: it needs tickets:read, which tickets:* covers, which the role lead grants.",
    ],
    [
      { subject: "u9", scopes: ["admin"] },
      "close_ticket",
      "u9 may call close_ticket: it needs tickets:write, and admin, which a scope of the token grants, is enough for everything in this tenant.",
    ],
    [{}, "list_hours", "Such a caller may call list_hours: it needs no permission."],
    [
      { key: KEY },
      "get_ticket",
      "The API key nightly may call get_ticket: it needs tickets:read, which *:read covers, which the API key grants.",
    ],
    [
      { key: KEY },
      "close_ticket",
      "The API key nightly may not call close_ticket: it needs tickets:write, which nothing that it has grants; a key with the permission tickets:write would.",
    ],
    [
      { subject: "u2" },
      "close_ticket",
      "u2 may not call close_ticket: it needs tickets:write, which nothing that it has grants; a token with the scope tickets:write, or the role agent or lead or owner, would.",
    ],
  ])("%j, %s: %s", (caller, name, why) => {
    const answer = explained(caller, name);
    expect(answer.why).toBe(why);
    expect(answer.allowed).toBe(!why.includes("may not"));
    expect(answer.visible).toBe(true);
  });

  test("names the scope alone where no role would do", () => {
    const snapshot = { ...acme, roles: { reader: ["tickets:read"] } };
    const answer = explainAccess({
      views,
      snapshot,
      policy,
      target: { kind: "tool", name: "close_ticket" },
      caller: { ...nobody, subject: "u2" },
      asker: "tenant",
    });
    expect(answer).toMatchObject({
      allowed: false,
      decision: { reason: "missing", permission: "tickets:write" },
      why: "u2 may not call close_ticket: it needs tickets:write, which nothing that it has grants; a token with the scope tickets:write would.",
    });
  });
});

describe("what the tenant does not have", () => {
  const absent = (name: string, asker: "operator" | "tenant") => {
    const { allowed, visible, presence, decision, why } = explained({ scopes: ["admin"] }, name, asker);
    expect([allowed, visible, decision]).toEqual([false, false, null]);
    return [presence, why];
  };

  test("is told apart to the operator", () => {
    const may = (name: string) => `Such a caller may not call ${name}:`;
    expect(absent("report", "operator")).toEqual([
      "tool_set_off",
      `${may("report")} it belongs to a tool set that is off for acme.`,
    ]);
    expect(absent("theirs", "operator")).toEqual([
      "other_tenants",
      `${may("theirs")} it is there for other tenants only, not for acme.`,
    ]);
    expect(absent("last", "operator")).toEqual([
      "over_limit",
      `${may("last")} the limit of acme, 3 tools, leaves it out.`,
    ]);
    expect(absent("no_such", "operator")).toEqual(["unknown", `${may("no_such")} acme has no such tool.`]);
  });

  test("answers to the tenant's administrator as what does not exist, in every word but its name", () => {
    const unknown = JSON.stringify(explained({ subject: "u1" }, "no_such", "tenant"));
    for (const name of ["report", "theirs"])
      expect(JSON.stringify(explained({ subject: "u1" }, name, "tenant")).replaceAll(name, "no_such")).toBe(
        unknown,
      );
    expect(absent("last", "tenant")[0]).toBe("over_limit");
  });
});

describe("a subject is one of an issuer", () => {
  test("so roles assigned at one do not count at another", () => {
    expect(explained({ subject: "u3", issuer: ONE }, "close_ticket").allowed).toBe(true);
    expect(explained({ subject: "u3", issuer: TWO }, "close_ticket").allowed).toBe(false);
    expect(explained({ subject: "u1", issuer: TWO }, "close_ticket")).toMatchObject({
      allowed: false,
      roles: [],
    });
  });

  test("and roles of an issuer that the tenant does not trust count nowhere", () => {
    expect(explained({ subject: "u4" }, "close_ticket")).toMatchObject({
      allowed: false,
      subject: { subject: "u4", issuer: null },
      grants: [],
    });
  });

  test.each<[Partial<ImaginedCaller>, string]>([
    [{ subject: "u3" }, "issuer: This subject has roles at several issuers of the tenant; name one."],
    [{ subject: "u4", issuer: "https://old.example" }, "issuer: The tenant trusts no such issuer."],
    [{ key: "key_2" as ApiKeyId }, "key: The tenant has no such API key in force."],
    [
      { key: KEY, scopes: ["tickets:write"] },
      "key: An API key has neither subject, issuer, scopes nor roles.",
    ],
    [{ key: KEY, subject: "u1" }, "key: An API key has neither subject, issuer, scopes nor roles."],
    [{ key: KEY, roles: ["agent"] }, "key: An API key has neither subject, issuer, scopes nor roles."],
  ])("%j cannot be asked about: %s", (caller, detail) => {
    expect(ask(caller, "get_ticket")).toEqual({ kind: "refusal", code: "input_invalid", detail });
  });
});

test("the caller has what a real one with such a token would have, in the same order", () => {
  for (const [scopes, roles] of [
    [["tickets:read"], []],
    [[], ["lead", "agent", "x"]],
    [
      ["customers:read", "a"],
      ["reader", "reader", "constructor"],
    ],
  ] as const) {
    const principal = principalOfToken(
      {
        kind: "verified",
        issuer: issuer(ONE),
        subject: "u1",
        clientId: null,
        permissions: new Set(scopes),
        roles,
        expiresAt: 1,
        issuedAt: 0,
        tokenId: null,
        signingKeyId: null,
        boundTo: null,
        tenantClaim: null,
      },
      acme,
    );
    const { grants, roles: named } = explained({ subject: "u1", scopes, roles }, "get_ticket");
    expect([...new Set(grants.map((grant) => grant.permission))]).toEqual([...principal.permissions]);
    expect(named.filter((role) => role.defined).map((role) => role.name)).toEqual(principal.roles);
  }
});

test("what is explained is what a call would be told", () => {
  for (const scopes of [[], ["tickets:write"], ["tickets:*"], ["*:read"], ["admin"], ["tickets"]])
    for (const tool of ["list_hours", "get_ticket", "close_ticket"]) {
      const required = views.of(acme).tool(tool)?.definition.requires;
      expect(explained({ scopes }, tool).allowed).toBe(policy.decide(new Set(scopes), required).allowed);
    }
});
