import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type AuditFacts, CHAIN_START, canonicalJson, sealAuditRow } from "../../src/core/audit-row.ts";
import type { InstanceId, OperationId, TenantId } from "../../src/core/ids.ts";

const RUN = "ins_1" as InstanceId;
const FACTS: AuditFacts = {
  tenantId: "tnt_a" as TenantId,
  kind: "outcome",
  operationId: "op_1" as OperationId,
  at: 1_800_000_000_123,
  actor: { kind: "user", subject: "ada", issuer: "https://issuer.example", clientId: null },
  action: "tools/call",
  target: "get_ticket",
  outcome: "ok",
  code: null,
  durationMs: 0.125,
  details: {
    access: { reason: "implied", permission: "tickets:read", by: "tickets:write", from: "role agent" },
  },
};
const seal = (facts: object): string => sealAuditRow({ ...FACTS, ...facts }, RUN, CHAIN_START).hash;

describe("a seal", () => {
  test("is SHA-256 of the previous hash and the fields as JSON, members sorted", () => {
    const row = sealAuditRow(FACTS, RUN, { seq: 6, hash: "ab".repeat(32) });
    const text = `["${"ab".repeat(32)}","tnt_a","ins_1",7,"outcome","op_1",1800000000123,{"clientId":null,"issuer":"https://issuer.example","kind":"user","subject":"ada"},"tools/call","get_ticket","ok",null,0.125,{"access":{"by":"tickets:write","from":"role agent","permission":"tickets:read","reason":"implied"}}]`;
    expect(row.sealed).toBe(text);
    expect(row.hash).toBe(createHash("sha256").update(text).digest("hex"));
    expect(row).toMatchObject({ ...FACTS, runId: RUN, seq: 7, prevHash: "ab".repeat(32) });
  });

  test.each<[what: string, facts: object]>([
    ["a changed time", { at: FACTS.at + 1 }],
    ["another subject", { actor: { ...FACTS.actor, subject: "eve" } }],
    ["a member more of the actor", { actor: { ...FACTS.actor, on: "behalf" } }],
    [
      "a member less of the actor",
      { actor: { kind: "user", subject: "ada", issuer: "https://issuer.example" } },
    ],
    ["a number for a text", { actor: { ...FACTS.actor, subject: 1 } }],
    ["another outcome", { outcome: "failed" }],
    ["a code", { code: "internal" }],
    ["no duration", { durationMs: null }],
    ["no details", { details: null }],
    ["a member more of the details", { details: { ...FACTS.details, more: 1 } }],
    ["a member more of the access", { details: { access: { ...Object(FACTS.details?.access), more: 1 } } }],
    ["a text for the access", { details: { access: "implied" } }],
  ])("shows %s", (_what, facts) => {
    expect(seal(facts)).not.toBe(seal({}));
  });

  test("tells a text from a number of the same digits", () => {
    expect(seal({ actor: { ...FACTS.actor, subject: 1 } })).not.toBe(
      seal({ actor: { ...FACTS.actor, subject: "1" } }),
    );
  });

  test("is the same whatever the order of members, and whatever stands in the texts", () => {
    const text = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom('"', "\\", "\n", "é", "\ud800", ""));
    const member = fc.oneof(text, fc.double(), fc.integer(), fc.boolean(), fc.constant(null));
    const names = fc.oneof(
      fc.constantFrom(
        "kind",
        "subject",
        "issuer",
        "clientId",
        "reason",
        "permission",
        "by",
        "from",
        "access",
      ),
      text.filter((name) => name !== "__proto__"),
    );
    const flat = fc.dictionary(names, member, { maxKeys: 6 });
    const object = fc.dictionary(names, fc.oneof(member, flat), { maxKeys: 3 });
    fc.assert(
      fc.property(
        text,
        flat,
        fc.option(
          fc.oneof(
            object,
            flat.map((access) => ({ access })),
          ),
        ),
        (any, actor, details) => {
          const facts = { ...FACTS, action: any, target: any, actor, details } as unknown as AuditFacts;
          const { sealed } = sealAuditRow(facts, RUN, CHAIN_START);
          const fields: unknown[] = [
            CHAIN_START.hash,
            "tnt_a",
            RUN,
            1,
            "outcome",
            "op_1",
            FACTS.at,
            actor,
            any,
            any,
          ];
          expect(sealed).toBe(canonicalJson([...fields, "ok", null, 0.125, details]));
          // As PostgreSQL gives it back: by value, and in another order.
          const back = JSON.parse(sealed);
          const turned = (value: object | null) =>
            value === null ? null : Object.fromEntries(Object.entries(value).reverse());
          const again = {
            ...facts,
            action: back[8],
            target: back[9],
            actor: turned(back[7]),
            details: turned(back[13]),
          };
          expect(sealAuditRow(again as unknown as AuditFacts, RUN, CHAIN_START).sealed).toBe(sealed);
        },
      ),
      { numRuns: 500 },
    );
  });
});

test("canonical JSON has its members sorted, in every depth, and is JSON", () => {
  expect(canonicalJson({ b: 1, a: { d: [{ z: 1, y: 2 }], c: null }, u: undefined })).toBe(
    '{"a":{"c":null,"d":[{"y":2,"z":1}]},"b":1}',
  );
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});
