import type { DevelopmentTenantAccess } from "../development-access.ts";
import type { ReportedError } from "./report-error.ts";

/** What the supervisor tells the serving child to do: sent over the channel between them, so that no environment has it. */
export interface ServeOrder {
  readonly type: "serve";
  readonly module: string;
  readonly port: number;
  readonly databaseUrl: string;
  readonly operatorToken: string;
  /** True where the database is this supervisor's own, so that no other server can be using it. */
  readonly soleInstance: boolean;
  /** File for JSON log lines; null: standard error. */
  readonly logFile: string | null;
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
