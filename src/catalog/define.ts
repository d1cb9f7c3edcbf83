import type { PermissionHierarchy } from "../core/permission.ts";
import type { JsonSchema, SchemaLike, Validated } from "../core/schema.ts";
import type { TenantContext } from "../tenancy/tenant-context.ts";

/** MCP tool annotations (2026-07-28, server/tools). `readOnlyHint: true` also makes the tool's SQL read-only. */
export interface ToolAnnotations {
  readonly title?: string;
  readonly readOnlyHint?: boolean;
  readonly destructiveHint?: boolean;
  readonly idempotentHint?: boolean;
  readonly openWorldHint?: boolean;
}

/** An icon of an entry (2026-07-28, "Icons"): shown by clients, from an https or data URL. */
export interface Icon {
  readonly src: string;
  readonly mimeType?: string;
  /** For example `48x48` or `any`. */
  readonly sizes?: readonly string[];
  readonly theme?: "light" | "dark";
}

/** Hints about who should see something, and how important it is. */
export interface ContentAnnotations {
  readonly audience?: readonly ("user" | "assistant")[];
  /** 0 to 1. */
  readonly priority?: number;
  /** ISO 8601. */
  readonly lastModified?: string;
}

/** A content block of MCP 2026-07-28. */
export type ContentBlock =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image" | "audio"; readonly data: string; readonly mimeType: string }
  | {
      readonly type: "resource_link";
      readonly uri: string;
      readonly name: string;
      readonly description?: string;
      readonly mimeType?: string;
    }
  | { readonly type: "resource"; readonly resource: ResourceContents };

/** Contents of a resource as MCP writes them. `blob` is base64. */
export type ResourceContents =
  | { readonly uri: string; readonly mimeType?: string; readonly text: string }
  | { readonly uri: string; readonly mimeType?: string; readonly blob: string };

/** A whole tool result, for a handler that wants to say everything itself. */
export interface ToolResult {
  readonly content: readonly ContentBlock[];
  readonly structuredContent?: unknown;
  readonly isError?: boolean;
  /** Members of the result's `_meta`. Names that begin with `io.modelcontextprotocol/` are left out. */
  readonly _meta?: Readonly<Record<string, unknown>>;
}

/** What a tool may return: text, a whole result, or any other JSON value, which becomes structured content and text. */
export type ToolReturn =
  | string
  | ToolResult
  | Readonly<Record<string, unknown>>
  | readonly unknown[]
  | number
  | boolean
  | null;

/** Who may see and use an entry of the catalog. Another tenant's entry answers as one that does not exist. */
export interface Visibility {
  /**
   * Permission that the caller must hold, or one that implies it, for example `tickets:write`: an OAuth scope token
   * without `*`. Absent: everybody of the tenant may.
   */
  readonly requires?: string;
  /** The entry is there only for tenants whose plan or configuration switches this set on. */
  readonly toolSet?: string;
  /** Slugs of the only tenants that have the entry. */
  readonly tenants?: readonly string[];
}

export interface ToolDefinition<S extends SchemaLike = SchemaLike> extends Visibility {
  /** 1 to 128 characters of A-Z, a-z, 0-9, `_`, `-`, `.` (2026-07-28, "Tool Names"). */
  readonly name: string;
  readonly title?: string;
  readonly description: string;
  readonly icons?: readonly Icon[];
  readonly input?: S;
  readonly output?: SchemaLike;
  readonly annotations?: ToolAnnotations;
  /** The tool may run in the background (extension `io.modelcontextprotocol/tasks`). Absent: it never does. */
  readonly task?: TaskDefinition<S>;
  /** Members of the entry's `_meta` in lists. */
  readonly _meta?: Readonly<Record<string, unknown>>;
  // A method, not a property, so that a ToolDefinition of a narrower schema fits into a list of tools.
  run(input: Validated<S>, ctx: TenantContext): ToolReturn | Promise<ToolReturn>;
}

/** How a tool runs as a task: its call is answered with a handle at once, and its result is kept for the caller. */
export interface TaskDefinition<S extends SchemaLike = SchemaLike> {
  /**
   * `always`: every call of a client that knows tasks becomes one, and a client that does not is refused with
   * `client_capability_missing`. `preferred`: calls of other clients are answered when the handler has ended.
   */
  readonly support: "always" | "preferred";
  /**
   * How long a task is kept after it was made, and so how long it may take, in milliseconds: a second to 30 days. What
   * has ended is there for ten more minutes, or as long as this where this is less. Default one hour.
   */
  readonly ttlMs?: number;
  /** How often clients should ask, in milliseconds: 10 to an hour. Default 1,000. */
  readonly pollIntervalMs?: number;
  /**
   * Whether a run that was lost with its instance is begun again from the top, three times at most: right only where what
   * the handler does outside `ctx.step` may be done twice. Default: as `annotations.idempotentHint` or `readOnlyHint` say.
   * Otherwise the task fails.
   */
  readonly rerun?: boolean;
  /**
   * Runs before there is a task, as a handler that may ask back. `run` asks the same again, by the same keys, and has the
   * answers at once; the same for steps. What it throws ends the call.
   */
  before?(input: Validated<S>, ctx: TenantContext): unknown;
}

/** Values that complete what a user has begun to type, best first; the first 100 are sent. */
export type Completer = (
  value: string,
  ctx: TenantContext,
  /** The other arguments, as far as they are known. */
  others: Readonly<Record<string, string>>,
) => readonly string[] | Promise<readonly string[]>;

export interface ResourceDefinition extends Visibility {
  /** A URI, or an RFC 6570 template of level 1 (`helpdesk://tickets/{id}`). */
  readonly uri: string;
  readonly name: string;
  readonly title?: string;
  readonly description?: string;
  readonly icons?: readonly Icon[];
  readonly mimeType?: string;
  /** In bytes, where it is known. */
  readonly size?: number;
  readonly annotations?: ContentAnnotations;
  readonly _meta?: Readonly<Record<string, unknown>>;
  /** Completion of a template's variables, by name. */
  readonly complete?: Readonly<Record<string, Completer>>;
  /**
   * Text, a JSON value, or bytes; undefined: there is no such resource for this caller.
   *
   * @param uri as it was asked for.
   */
  read(
    variables: Readonly<Record<string, string>>,
    ctx: TenantContext,
    uri: string,
  ): ResourceReturn | undefined | Promise<ResourceReturn | undefined>;
}

export type ResourceReturn = string | Uint8Array | Readonly<Record<string, unknown>> | readonly unknown[];

export interface PromptArgument {
  readonly name: string;
  readonly title?: string;
  readonly description?: string;
  readonly required?: boolean;
  /** Completes what the user has typed of it. */
  readonly complete?: Completer;
}

export interface PromptMessage {
  readonly role: "user" | "assistant";
  readonly content: ContentBlock;
}

/** A whole prompt, for a handler that wants to say everything itself. */
export interface PromptResult {
  /** Default: the prompt's own. */
  readonly description?: string;
  readonly messages: readonly PromptMessage[];
  /** As that of {@link ToolResult}. */
  readonly _meta?: Readonly<Record<string, unknown>>;
}

export type PromptReturn = string | readonly PromptMessage[] | PromptResult;

export interface PromptDefinition extends Visibility {
  readonly name: string;
  readonly title?: string;
  readonly description?: string;
  readonly icons?: readonly Icon[];
  readonly _meta?: Readonly<Record<string, unknown>>;
  readonly arguments?: readonly PromptArgument[];
  get(args: Readonly<Record<string, string>>, ctx: TenantContext): PromptReturn | Promise<PromptReturn>;
}

/** A tenant that `bulkhead dev` makes when its database is new. */
export interface DemonstrationTenant {
  readonly slug: string;
  readonly name: string;
  readonly plan: string;
  /** People for whom tokens can be had in development; the first one's are printed at start. */
  readonly users: readonly {
    readonly subject: string;
    readonly name: string;
    readonly permissions: readonly string[];
  }[];
  /**
   * Roles that the tenant has when it is made: names for sets of permissions, in which segments may be `*`. Afterwards
   * they are the tenant's own, to change through the admin API.
   */
  readonly roles?: Readonly<Record<string, readonly string[]>>;
  /** Fills the tenant's tables, through the tenant door, once. */
  seed?(ctx: { readonly sql: TenantContext["sql"]; readonly store: TenantContext["store"] }): Promise<void>;
}

export interface DevelopmentDefinition {
  readonly plans?: Readonly<
    Record<
      string,
      {
        readonly limits?: import("../tenancy/limits.ts").PartialLimits;
        readonly toolSets?: readonly string[];
      }
    >
  >;
  readonly tenants: readonly DemonstrationTenant[];
}

/** How the server's permissions relate. */
export interface PermissionsDefinition {
  /**
   * Which permissions imply which others, transitively. Segments are what stands between colons; `*` stands for one whole
   * segment, and the k-th `*` of a value for what the k-th of its key stands for. Nothing may imply `admin`.
   *
   * Default: `{ "*:write": ["*:read"] }`. What is stated here replaces it; `{}` lets nothing imply anything.
   *
   * @example
   * { "*:write": ["*:read"], "tickets:manage": ["tickets:write"] }
   */
  readonly implies?: PermissionHierarchy;
}

export interface ServerDefinition {
  readonly name: string;
  readonly title?: string;
  readonly version: string;
  readonly description?: string;
  readonly icons?: readonly Icon[];
  readonly websiteUrl?: string;
  /** Guidance for the model that uses this server (server/discover). */
  readonly instructions?: string;
  readonly tools?: readonly ToolDefinition[];
  readonly resources?: readonly ResourceDefinition[];
  readonly prompts?: readonly PromptDefinition[];
  readonly permissions?: PermissionsDefinition;
  /** Directory of numbered SQL migrations of the tools' own tables; a URL, usually `new URL("./migrations/", import.meta.url)`. */
  readonly migrations?: URL;
  /** What `bulkhead dev` sets up in a new database. */
  readonly development?: DevelopmentDefinition;
}

/** Defines a tool; gives back its argument, with the handler's input typed by the schema. */
export function defineTool<const S extends SchemaLike = JsonSchema>(
  definition: ToolDefinition<S>,
): ToolDefinition<S> {
  return definition;
}

export function defineResource(definition: ResourceDefinition): ResourceDefinition {
  return definition;
}

export function definePrompt(definition: PromptDefinition): PromptDefinition {
  return definition;
}

/** Marks what `defineServer` made, so that a module's default export can be told from anything else. */
const SERVER = Symbol.for("bulkhead-mcp.server");

export function defineServer(definition: ServerDefinition): ServerDefinition {
  return Object.freeze({ ...definition, [SERVER]: true });
}

export function isServerDefinition(value: unknown): value is ServerDefinition {
  return typeof value === "object" && value !== null && (value as { [SERVER]?: unknown })[SERVER] === true;
}

/**
 * An answer "no" that a handler gives its caller: becomes a tool result with isError and this text, or, for resources
 * and prompts, an error with this text. Any other exception becomes `handler_failed` and its text stays in the log.
 */
export class CallerError extends Error {
  override readonly name = "CallerError";
}
