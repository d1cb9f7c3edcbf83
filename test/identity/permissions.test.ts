import { expect, test } from "vitest";
import { decideAccess } from "../../src/identity/permissions.ts";

const decide = (granted: string[], required?: string) => decideAccess(new Set(granted), required);

test("an operation that requires nothing is allowed to everybody", () => {
  expect(decide([])).toEqual({ allowed: true, reason: "not_required" });
});

test("the exact permission is enough, and so is admin", () => {
  expect(decide(["tickets:write"], "tickets:write")).toEqual({ allowed: true, reason: "granted" });
  expect(decide(["admin"], "tickets:write")).toEqual({ allowed: true, reason: "administrator" });
});

test.each([
  [["tickets:write"], "tickets:writ"],
  [["tickets:writ"], "tickets:write"],
  [["tickets:write"], "Tickets:write"],
  [["tickets:*"], "tickets:write"],
  [["administrator", "Admin", "admin "], "tickets:write"],
  [[], ""],
])("%j does not grant %j", (granted, required) => {
  expect(decide(granted, required)).toEqual({ allowed: false, reason: "missing", missing: [required] });
});
