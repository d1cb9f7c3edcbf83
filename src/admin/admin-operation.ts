import type { z } from "@hono/zod-openapi";
import type { Clock } from "../core/clock.ts";
import type { ErrorCode } from "../core/error-table.ts";
import type { EventSink } from "../core/event.ts";
import type { IdSource, Slug, TenantId } from "../core/ids.ts";
import type { Refusal } from "../core/refusal.ts";
import type { Caller } from "../identity/caller.ts";
import type { AccessPorts } from "./access-ports.ts";
import type { Administration, ExpectedVersions } from "./administration.ts";
import type { DevelopmentTokens } from "./development-tokens.ts";
import type { IssuerPorts } from "./issuer-ports.ts";

/** Schemas of the parts of a request; an absent part is not read. */
export interface RequestSchemas {
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
}

/** A request after its schemas have parsed it. */
export interface InputOf<R extends RequestSchemas> {
  readonly params: R extends { readonly params: infer S extends z.ZodType } ? z.output<S> : undefined;
  readonly query: R extends { readonly query: infer S extends z.ZodType } ? z.output<S> : undefined;
  readonly body: R extends { readonly body: infer S extends z.ZodType } ? z.output<S> : undefined;
  /** What If-Match asks for; null for an operation that is not `conditional`. */
  readonly expected: ExpectedVersions;
}

/** Who asks: the operator, for all tenants, or an administrator of one tenant, for that one. */
export type AdminCaller = { readonly kind: "operator" } | ({ readonly kind: "tenant" } & Caller);

/** What the operations work with. */
export interface OperationContext {
  readonly administration: Administration;
  readonly ids: IdSource;
  readonly clock: Clock;
  readonly emit: EventSink;
  /** URL of a tenant's MCP endpoint, and of the shared one (slug null): what tokens for it have as their audience. */
  readonly mcpUrlOf: (slug: Slug | null) => string;
  /** Draws so many random bytes. */
  readonly random: (bytes: number) => Uint8Array;
  readonly issuers: IssuerPorts;
  /**
   * Why somebody who was let in would not be let in now; null: they still would. Asked before every `run`; one that waits
   * for anything outside asks again before it writes.
   */
  readonly refusedMeanwhile: (by: AdminCaller) => Promise<Refusal | null>;
  readonly accessPorts: AccessPorts;
  /** Null in production: the operations that need it do not exist there. */
  readonly development: DevelopmentTokens | null;
}

export interface Answer {
  readonly status: 200 | 201;
  readonly body: unknown;
  /** Version of what the body shows, for the header ETag. */
  readonly version?: number;
  /** What the act made, for the audit trail: never free text. Absent: what the operation's `target` says. */
  readonly target?: string;
  /** The tenant whose audit trail the act belongs to; null: the deployment's. */
  readonly tenantId: TenantId | null;
}

/** One operation of the admin API: its route, its place in the OpenAPI document, and what it does. */
export interface AdminOperation<R extends RequestSchemas = RequestSchemas> {
  /** Name in the audit trail and operationId in the document, for example `tenants.create`. */
  readonly action: string;
  readonly method: "get" | "post" | "put" | "patch" | "delete";
  /** Below /admin/v1, with `{name}` for a parameter. */
  readonly path: string;
  readonly summary: string;
  /**
   * Who may: the operator alone, or administrators of the tenant in the path (`{t}`) as well. That the tenant in the
   * path is the caller's own is checked before `run`, for all operations alike; one without `{t}` has to keep to
   * `by` itself.
   */
  readonly access: "operator" | "tenant";
  /** Members of the body that administrators of the tenant may send; absent: all of them. */
  readonly tenantMembers?: readonly string[];
  readonly request: R;
  /** True where If-Match is heeded. */
  readonly conditional: boolean;
  /** True where it changes configuration, so that instances must hear of it. */
  readonly changes: boolean;
  readonly answers: {
    readonly [Status in 200 | 201]?: { readonly description: string; readonly schema: z.ZodType };
  };
  /** Refusals beside those that any operation may answer. */
  readonly refusals: readonly ErrorCode[];
  // Methods, not properties, so that operations of different requests fit into one list.
  /** What the request is about, for the audit trail: never free text. */
  target(input: InputOf<R>): string | null;
  run(input: InputOf<R>, context: OperationContext, by: AdminCaller): Promise<Answer | Refusal>;
}

/** Defines an operation; gives back its argument, with the input typed by the schemas. */
export function defineOperation<const R extends RequestSchemas>(
  operation: AdminOperation<R>,
): AdminOperation<R> {
  return operation;
}
