import type { ServerDefinition } from "./catalog/define.ts";
import type { Clock } from "./core/clock.ts";

/** Where log lines go: anything with a `write` of whole lines, each with its line break. */
export interface LogDestination {
  write(lines: string): void;
}

export interface BulkheadOptions {
  /** What `defineServer` made. */
  readonly server: ServerDefinition;
  /**
   * PostgreSQL 15 or later, as its administrator: `postgres://user:password@host/database`. The password is also what the
   * passwords of Bulkhead's own roles are derived from.
   */
  readonly databaseUrl: string;
  /** The URL under which clients reach the server, without a path: resource identifiers are built from it. */
  readonly publicUrl: string;
  /** Opens the admin API and /metrics; without one the admin API is not there. At least 32 characters. */
  readonly operatorToken?: string;
  /** Further Host and Origin values to serve. */
  readonly hosts?: readonly string[];
  readonly origins?: readonly string[];
  /**
   * Seals the secrets that the database keeps, such as those of introspection clients: 32 random bytes in base64url.
   * Without one, no secret can be kept.
   */
  readonly masterKey?: string;
  /**
   * Host names of identity providers inside the company: only these may have addresses that are not public. Default:
   * none.
   */
  readonly privateHosts?: readonly string[];
  /** Runs migrations before serving. Default false: `bulkhead migrate` does it. */
  readonly migrate?: boolean;
  /**
   * Most connections to the database: of the tenant door and of the system door. Default 20 and 5. Besides, each instance
   * has one to watch the configuration and one to hear of its changes.
   */
  readonly connections?: { readonly tenant?: number; readonly system?: number };
  /** Where log lines go. Default: standard error. */
  readonly log?: LogDestination;
  readonly logLevel?: "debug" | "info" | "warn" | "error" | "silent";
  /** Longest wait for operations under way when the server stops, in milliseconds. Default 10,000. */
  readonly drainMs?: number;
  /** After this long without a sign of life an instance counts as gone, in milliseconds. Default 15,000. */
  readonly instanceDeadAfterMs?: number;
  /** `development`: tokens without passwords; loopback only. Default `production`. */
  readonly mode?: "production" | "development";
  /**
   * Says that no other instance uses this database, so that what an earlier one left is taken up at once and not after
   * `instanceDeadAfterMs`.
   */
  readonly soleInstance?: boolean;
  readonly clock?: Clock;
}
