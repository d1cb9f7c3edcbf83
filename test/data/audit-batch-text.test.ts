import { expect, test } from "vitest";
import { type AuditRow, CHAIN_START, sealAuditRow } from "../../src/core/audit-row.ts";
import type { InstanceId, TenantId } from "../../src/core/ids.ts";
import { createAuditBatchText } from "../../src/data/audit-batch-text.ts";

function row(target: string): AuditRow {
  return sealAuditRow(
    {
      tenantId: "tnt_a" as TenantId,
      kind: "outcome",
      operationId: null,
      at: 1,
      actor: null,
      action: "tools/call",
      target,
      outcome: "ok",
      code: null,
      durationMs: null,
      details: null,
    },
    "ins_1" as InstanceId,
    CHAIN_START,
  );
}

const arraysOf = (rows: readonly AuditRow[]): unknown[][] =>
  rows.map(({ sealed, hash }) => [...JSON.parse(sealed), hash]);

test("a batch is an array of what was sealed, each with its hash at the end", async () => {
  const text = createAuditBatchText();
  for (const targets of [
    ["漢".repeat(500), "😀"],
    ["x"],
    [],
    Array.from({ length: 300 }, (_unused, i) => `é${i}`),
  ]) {
    const rows = targets.map(row);
    expect(await text.of(rows, async (json) => JSON.parse(json.toString()))).toEqual(arraysOf(rows));
  }
});

test("a batch that is being written is left alone by the next, and so is one after a failure", async () => {
  const text = createAuditBatchText();
  const first = [row("first"), row("second")];
  const next = [row("another"), row("one")];
  await expect(
    text.of([row("refused".repeat(1_000))], () => Promise.reject(new Error("22P05"))),
  ).rejects.toThrow("22P05");
  const seen = await text.of(first, async (json) => {
    await text.of(next, async (other) => expect(JSON.parse(other.toString())).toEqual(arraysOf(next)));
    return JSON.parse(json.toString());
  });
  expect(seen).toEqual(arraysOf(first));
});
