import { type ErrorCode, errorRow } from "../core/error-table.ts";
import type { OperationId } from "../core/ids.ts";
import type { Refusal } from "../core/refusal.ts";

export const PROBLEM_TYPE = "application/problem+json";

/** One thing that was wrong with a request. */
export interface InputError {
  /** Members joined by dots; empty for the whole. */
  readonly path: string;
  readonly message: string;
}

/** An error as the admin API answers it (RFC 9457, section 3). */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  readonly remedy: string;
  readonly errors?: readonly InputError[];
  readonly operationId?: OperationId;
}

/** What of a problem is not in the error table. */
export interface ProblemDetails {
  readonly detail?: string | undefined;
  /** In place of the table's, where that speaks of MCP. */
  readonly remedy?: string | undefined;
  readonly errors?: readonly InputError[] | undefined;
  readonly operationId?: OperationId | undefined;
}

/** Codes that have no HTTP status are faults of this server. */
export function problem(code: ErrorCode, details: ProblemDetails = {}): Problem {
  const row = errorRow(code);
  return {
    type: `urn:bulkhead:error:${code}`,
    title: row.text,
    status: row.http ?? 500,
    detail: details.detail ?? row.text,
    code,
    remedy: details.remedy ?? row.remedy,
    ...(details.errors === undefined ? {} : { errors: details.errors }),
    ...(details.operationId === undefined ? {} : { operationId: details.operationId }),
  };
}

/** A refusal whose `data.errors` names what was not valid. */
export function inputInvalid(
  errors: readonly InputError[],
): Refusal & { readonly data: { readonly errors: readonly InputError[] } } {
  const named = errors
    .slice(0, 5)
    .map(({ path, message }) => (path === "" ? message : `${path}: ${message}`));
  const more = errors.length > named.length ? `; and ${errors.length - named.length} more` : "";
  return { kind: "refusal", code: "input_invalid", detail: `${named.join("; ")}${more}.`, data: { errors } };
}
