import { expect, test } from "vitest";
import { accessNote, type GrantHolder } from "../../src/identity/access-note.ts";
import type { AllowedAccess } from "../../src/identity/access-policy.ts";

const ROLES = { agent: ["tickets:write", "customers:read"], lead: ["tickets:write", "admin"], idle: [] };

function holder(scopes: string[], roles: string[] = [], kind: "user" | "key" = "user"): GrantHolder {
  return { scopes: new Set(scopes), principal: { kind, roles }, snapshot: { roles: ROLES } };
}

const access: AllowedAccess = {
  allowed: true,
  reason: "implied",
  permission: "tickets:read",
  by: "tickets:write",
};
const note = { reason: "implied", permission: "tickets:read", by: "tickets:write" };

test("what needs no permission comes from nowhere", () => {
  expect(accessNote({ allowed: true, reason: "not_required" }, holder(["tickets:write"], ["agent"]))).toEqual(
    {
      reason: "not_required",
    },
  );
});

test.each([
  ["a scope of the token", holder(["tickets:write"]), "scope"],
  ["the API key", holder(["tickets:write"], [], "key"), "api key"],
  ["a role", holder(["other"], ["idle", "agent", "lead"]), "role agent"],
  ["the token itself, before a role that has the same", holder(["tickets:write"], ["agent"]), "scope"],
  // Not the permission that was needed: what decided.
  ["a role, though the scope is the one that was asked for", holder(["tickets:read"], ["lead"]), "role lead"],
])("what decided comes from %s", (_what, caller, from) => {
  expect(accessNote(access, caller)).toEqual({ ...note, from });
});

test("a role that the tenant does not define grants nothing, also by the name of something that every object has", () => {
  for (const role of ["gone", "constructor", "__proto__", "toString"])
    expect(accessNote(access, holder([], [role, "agent"]))).toEqual({ ...note, from: "role agent" });
  expect(accessNote(access, holder([], ["constructor"]))).toEqual(note);
});
