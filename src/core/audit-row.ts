import { hash } from "node:crypto";
import type { Actor } from "./event.ts";
import type { InstanceId, OperationId, TenantId } from "./ids.ts";
import { jsonNumber, jsonString } from "./json-string.ts";

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
  /** The hash of the row before. */
  readonly prevHash: string;
  /** SHA-256 of `sealed`, in hexadecimal. */
  readonly hash: string;
  /** The previous hash and the row's fields, as JSON. What is written is read from this, and from nothing else. */
  readonly sealed: string;
}

/** The end of a chain so far: the next row's `seq` is one more. */
export interface ChainHead {
  readonly seq: number;
  readonly hash: string;
}

/** Before the first row. */
export const CHAIN_START: ChainHead = Object.freeze({ seq: 0, hash: "0".repeat(64) });

/**
 * Puts facts behind `head`: SHA-256 over a JSON array of the previous hash and the row's fields in a fixed order. Members
 * of objects are sorted, so that what PostgreSQL gives back (jsonb forgets their order) hashes the same.
 */
export function sealAuditRow(facts: AuditFacts, runId: AuditRow["runId"], head: ChainHead): AuditRow {
  const { tenantId, kind, operationId, at, actor, action, target, outcome, code, durationMs, details } =
    facts;
  const seq = head.seq + 1;
  const prevHash = head.hash;
  const sealed = `["${prevHash}",${jsonString(tenantId)},${jsonString(runId)},${seq},"${kind}",${jsonString(operationId)},${jsonNumber(at)},${actorJson(actor)},${jsonString(action)},${jsonString(target)},${jsonString(outcome)},${jsonString(code)},${jsonNumber(durationMs)},${detailsJson(details)}]`;
  return {
    tenantId,
    kind,
    operationId,
    at,
    actor,
    action,
    target,
    outcome,
    code,
    durationMs,
    details,
    runId,
    seq,
    prevHash,
    hash: hash("sha256", sealed, "hex"),
    sealed,
  };
}

/** JSON with the members of every object in code-unit order, for plain values: what JSON can say, and undefined members. */
export function canonicalJson(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${jsonString(name)}:${canonicalJson(member)}`);
  return `{${members.join(",")}}`;
}

const ACTOR_MEMBERS = ["clientId", "issuer", "kind", "subject"] as const;
const ACCESS_MEMBERS = ["by", "from", "permission", "reason"] as const;

function actorJson(actor: Actor | null): string {
  return actor === null ? "null" : flatJson(actor, ACTOR_MEMBERS);
}

function detailsJson(details: AuditFacts["details"]): string {
  if (details === null) return "null";
  const { access } = details;
  return isObject(access) && Object.keys(details).length === 1
    ? `{"access":${flatJson(access, ACCESS_MEMBERS)}}`
    : canonicalJson(details);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

/**
 * The same text as `canonicalJson` makes, in half the time where the members are texts of these names, as they are for
 * every call. Any other member is written all the same: nothing that was put into a row of the database escapes its seal.
 *
 * @param names in code-unit order
 */
function flatJson<T extends object>(of: T, names: readonly (keyof T & string)[]): string {
  let text = "";
  let written = 0;
  for (const name of names) {
    const member: unknown = of[name];
    if (member === undefined) continue;
    if (typeof member !== "string" && member !== null) return canonicalJson(of);
    text += `${written++ === 0 ? "" : ","}"${name}":${jsonString(member)}`;
  }
  return written === Object.keys(of).length ? `{${text}}` : canonicalJson(of);
}
