import { expect, test } from "vitest";
import { parseChildReport } from "../../src/cli/dev-messages.ts";

test("a child's reports are told from whatever else a module says on its channel", () => {
  const ready = { type: "ready", line: { event: "ready", tenants: [] } };
  const failed = { type: "failed", error: { code: "internal", message: "x", remedy: "y" } };
  expect(parseChildReport(ready)).toEqual(ready);
  expect(parseChildReport(failed)).toEqual(failed);
  for (const other of [
    "ready",
    null,
    7,
    {},
    { type: "ready" },
    { type: "ready", line: null },
    { type: "ready", line: { event: "ready" } },
    { type: "failed" },
    { type: "failed", error: { code: 1 } },
    [],
  ]) {
    expect(parseChildReport(other)).toBeNull();
  }
});
