import { createHash } from "node:crypto";
import type { Actor } from "./event.ts";
import type { InstanceId, OperationId, TenantId } from "./ids.ts";

/** Facts of an audit row, before its place in the chain is known. */
export interface AuditFacts {
  /** `deployment` for acts that concern no tenant. */
  readonly tenantId: TenantId | "deployment";
  readonly kind: "intent" | "outcome" | "refusals" | "administrative";
  readonly operationId: OperationId | null;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly actor: Actor | null;
  readonly action: string;
  readonly target: string | null;
  readonly outcome: string | null;
  readonly code: string | null;
  readonly durationMs: number | null;
  readonly details: Readonly<Record<string, unknown>> | null;
}

/** An audit row in its chain: rows of one tenant and one run follow each other by `seq`, each sealing the one before. */
export interface AuditRow extends AuditFacts {
  readonly runId: InstanceId | `${InstanceId}/recovery`;
  readonly seq: number;
  readonly prevHash: Uint8Array;
  readonly hash: Uint8Array;
}

/** The end of a chain so far: the next row's `seq` is one more. */
export interface ChainHead {
  readonly seq: number;
  readonly hash: Uint8Array;
}

/** Before the first row. */
export const CHAIN_START: ChainHead = Object.freeze({ seq: 0, hash: new Uint8Array(32) });

/**
 * Puts facts behind `head`: SHA-256 over the previous hash and the row's fields in a fixed order, as JSON whose members
 * are sorted, so that what PostgreSQL gives back (jsonb forgets the order of members) hashes the same.
 */
export function sealAuditRow(facts: AuditFacts, runId: AuditRow["runId"], head: ChainHead): AuditRow {
  const seq = head.seq + 1;
  const fields = [
    facts.tenantId,
    runId,
    seq,
    facts.kind,
    facts.operationId,
    facts.at,
    facts.actor,
    facts.action,
    facts.target,
    facts.outcome,
    facts.code,
    facts.durationMs,
    facts.details,
  ];
  const hash = createHash("sha256").update(head.hash).update(canonicalJson(fields)).digest();
  return { ...facts, runId, seq, prevHash: head.hash, hash };
}

/** JSON with the members of every object in code-unit order. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) => {
    if (typeof member !== "object" || member === null || Array.isArray(member)) return member;
    return Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
