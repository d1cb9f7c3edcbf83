import type { BulkheadOptions } from "../bulkhead-options.ts";
import type { DevelopmentTenantAccess } from "../development-access.ts";
import type { ReportedError } from "./report-error.ts";

/** What the supervisor tells the serving child to do: sent over the channel between them, so that no environment has it. */
export interface ServeOrder {
  readonly type: "serve";
  readonly module: string;
  readonly port: number;
  readonly databaseUrl: string;
  readonly operatorToken: string;
  readonly masterKey: string;
  /** True where the database is this supervisor's own, so that no other server can be using it. */
  readonly soleInstance: boolean;
  /** File for JSON log lines; null: standard error. */
  readonly logFile: string | null;
  readonly logLevel: NonNullable<BulkheadOptions["logLevel"]>;
}

/** Tells the child to finish what is under way and end. */
export interface StopOrder {
  readonly type: "stop";
}

/** The line of the contract, and what is printed for people. */
export interface ReadyLine {
  readonly event: "ready";
  readonly url: string;
  readonly mcp: string;
  readonly issuer: string;
  readonly admin: { readonly url: string; readonly token: string };
  readonly console: string;
  readonly tenants: readonly DevelopmentTenantAccess[];
}

/** What the child answers. */
export type ChildReport =
  | { readonly type: "ready"; readonly line: ReadyLine }
  | { readonly type: "failed"; readonly error: ReportedError };

/** A child's report; null for anything else, since a server module may use the channel for words of its own. */
export function parseChildReport(message: unknown): ChildReport | null {
  if (typeof message !== "object" || message === null || !("type" in message)) return null;
  if (message.type === "ready" && "line" in message && isReadyLine(message.line)) {
    return { type: "ready", line: message.line };
  }
  if (message.type === "failed" && "error" in message && isReportedError(message.error)) {
    return { type: "failed", error: message.error };
  }
  return null;
}

function isReadyLine(value: unknown): value is ReadyLine {
  return (
    typeof value === "object" &&
    value !== null &&
    "event" in value &&
    value.event === "ready" &&
    "tenants" in value &&
    Array.isArray(value.tenants)
  );
}

function isReportedError(value: unknown): value is ReportedError {
  return (
    typeof value === "object" &&
    value !== null &&
    ["code", "message", "remedy"].every(
      (name) => typeof (value as Record<string, unknown>)[name] === "string",
    )
  );
}
