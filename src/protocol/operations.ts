import type { IncomingHttpHeaders } from "node:http";
import type { Catalog, CatalogPrompt, CatalogResource, CatalogTool } from "../catalog/catalog.ts";
import { CallerError } from "../catalog/define.ts";
import {
  errorResult,
  toFittingResult,
  toPromptMessages,
  toResourceContents,
  toToolResult,
} from "../catalog/results.ts";
import type { Validation } from "../catalog/schemas.ts";
import type { ListKind, TenantView } from "../catalog/tenant-view.ts";
import type { ErrorCode } from "../core/error-table.ts";
import type { OperationOutcome } from "../core/event.ts";
import { isRefusal, type Refusal, refuse } from "../core/refusal.ts";
import type { AccessPolicy, AllowedAccess, DeniedAccess } from "../identity/access-policy.ts";
import type { TenantContext } from "../tenancy/tenant-context.ts";
import { isObject, type JsonObject, member } from "./json-rpc.ts";
import {
  checkParameterHeaders,
  type Method,
  type ModernRequest,
  SUPPORTED_VERSIONS,
} from "./revision-2026-07-28.ts";

/** What an operation came to: the members of its result, serialised without the braces. */
export interface Performed {
  readonly members: string;
  readonly outcome: OperationOutcome;
  readonly code: ErrorCode | null;
}

/** An operation that may be performed: found in the tenant's view, permitted, its arguments valid. */
export interface Operation {
  /** Registered name, never free text. */
  readonly target: string | null;
  /** False: it may change something, and leaves an intent before it runs. */
  readonly readOnly: boolean;
  /** Why the caller may. */
  readonly access: AllowedAccess;
  /** Null where the answer is known without a handler. */
  readonly answer: Performed | null;
  /** Runs the handler. Gives a refusal where it said that there is no such thing; throws what the handler throws. */
  perform(ctx: TenantContext): Promise<Performed | Refusal>;
}

/** An operation before it is said why it may be performed. */
type Found = Omit<Operation, "access">;

const LISTS: ReadonlyMap<Method, ListKind> = new Map([
  ["tools/list", "tools"],
  ["resources/list", "resources"],
  ["resources/templates/list", "resourceTemplates"],
  ["prompts/list", "prompts"],
]);

/** Arguments of a prompt: names and texts of bounded number and length. */
const MAX_ARGUMENT = 65_536;

/**
 * Finds what a request asks for in the tenant's view. What this tenant does not have is refused as unknown, whatever
 * other tenants have; what the tenant has and the caller lacks permission for is refused naming the permission, so that
 * the client can step up (MCP authorization, "Scope Challenge Handling").
 */
export async function resolveOperation(
  request: ModernRequest,
  from: {
    readonly catalog: Catalog;
    readonly view: TenantView;
    readonly granted: ReadonlySet<string>;
    readonly policy: AccessPolicy;
    readonly headers: IncomingHttpHeaders;
  },
): Promise<Operation | Refusal> {
  const { view, granted, policy } = from;
  const kind = LISTS.get(request.method);
  if (kind !== undefined) {
    const cursor = member(request.params, "cursor");
    if (cursor !== undefined && typeof cursor !== "string") return refuse("cursor_invalid");
    const members = view.list(kind, granted, cursor);
    return isRefusal(members) ? members : answered(members);
  }
  switch (request.method) {
    case "server/discover":
      return answered(discover(from.catalog));
    case "tools/call": {
      const tool = view.tool(request.name ?? "");
      if (tool === null) return refuse("tool_unknown");
      const access = policy.decide(granted, tool.definition.requires);
      if (!access.allowed) return lacking(access);
      const operation = await callTool(tool, member(request.params, "arguments"), from.headers);
      return isRefusal(operation) ? operation : { ...operation, access };
    }
    case "resources/read": {
      const uri = request.name ?? "";
      const found = view.resource(uri);
      if (found === null) return refuse("resource_unknown", { data: { uri } });
      const access = policy.decide(granted, found.resource.definition.requires);
      if (!access.allowed) return lacking(access);
      return { ...readResource(found.resource, uri, found.variables), access };
    }
    case "prompts/get": {
      const prompt = view.prompt(request.name ?? "");
      if (prompt === null) return refuse("prompt_unknown");
      const access = policy.decide(granted, prompt.definition.requires);
      if (!access.allowed) return lacking(access);
      const operation = getPrompt(prompt, member(request.params, "arguments"));
      return isRefusal(operation) ? operation : { ...operation, access };
    }
    default:
      return refuse("method_unknown");
  }
}

function answered(members: string): Operation {
  const answer: Performed = { members, outcome: "ok", code: null };
  // Lists and the like need no permission: what they show is what the caller may use.
  const access: AllowedAccess = { allowed: true, reason: "not_required" };
  return { target: null, readOnly: true, access, answer, perform: () => Promise.resolve(answer) };
}

function lacking({ permission }: DeniedAccess): Refusal {
  return refuse("scope_insufficient", { scopes: [permission] });
}

function discover(catalog: Catalog): string {
  const capabilities = {
    ...(catalog.tools.length > 0 ? { tools: { listChanged: true } } : {}),
    ...(catalog.resources.length > 0 ? { resources: { listChanged: true } } : {}),
    ...(catalog.prompts.length > 0 ? { prompts: { listChanged: true } } : {}),
  };
  const { instructions } = catalog.server;
  return membersOf({
    supportedVersions: SUPPORTED_VERSIONS,
    capabilities,
    ...(instructions === undefined ? {} : { instructions }),
    ttlMs: 60_000,
    cacheScope: "private",
  });
}

async function callTool(
  tool: CatalogTool,
  sent: unknown,
  headers: IncomingHttpHeaders,
): Promise<Found | Refusal> {
  const args: unknown = sent === undefined ? {} : sent;
  if (!isObject(args)) return refuse("params_invalid", { detail: "params.arguments must be an object." });
  const mismatch = checkParameterHeaders(tool.headers, args, headers);
  if (mismatch !== null) return mismatch;
  const target = tool.definition.name;
  let validation: Validation;
  try {
    const pending = tool.input.validate(args);
    validation = pending instanceof Promise ? await pending : pending;
  } catch (cause) {
    // A check of the module's own threw, or arguments nested deep enough to use up the stack of a recursive schema.
    return { target, readOnly: true, answer: null, perform: () => Promise.reject(cause) };
  }
  if (!validation.valid) {
    // An error of the tool, not of the protocol, so that a model can correct itself ("Error Handling" of tools).
    const members = membersOf({ ...errorResult(`Invalid arguments: ${validation.issues}`) });
    const answer: Performed = { members, outcome: "tool_error", code: "params_invalid" };
    return { target, readOnly: true, answer, perform: () => Promise.resolve(answer) };
  }
  const input = validation.value as never;
  return {
    target,
    readOnly: tool.readOnly,
    answer: null,
    async perform(ctx) {
      try {
        const returned = await tool.definition.run(input, ctx);
        const result =
          tool.output === null ? toToolResult(returned) : await toFittingResult(returned, tool.output);
        return {
          members: membersOf({ ...result }),
          outcome: result.isError === true ? "tool_error" : "ok",
          code: null,
        };
      } catch (error) {
        if (!(error instanceof CallerError)) throw error;
        return { members: membersOf({ ...errorResult(error.message) }), outcome: "tool_error", code: null };
      }
    },
  };
}

function readResource(
  resource: CatalogResource,
  uri: string,
  variables: Readonly<Record<string, string>>,
): Found {
  return {
    target: resource.definition.uri,
    readOnly: true,
    answer: null,
    async perform(ctx) {
      try {
        const value = await resource.definition.read(variables, ctx);
        if (value === undefined) return refuse("resource_unknown", { data: { uri } });
        const contents = [toResourceContents(uri, resource.definition.mimeType, value)];
        return {
          members: membersOf({ contents, ttlMs: 0, cacheScope: "private" }),
          outcome: "ok",
          code: null,
        };
      } catch (error) {
        if (!(error instanceof CallerError)) throw error;
        return refuse("params_invalid", { detail: error.message });
      }
    },
  };
}

function getPrompt(prompt: CatalogPrompt, sent: unknown): Found | Refusal {
  const given: JsonObject | undefined = sent === undefined ? {} : isObject(sent) ? sent : undefined;
  if (given === undefined) return refuse("params_invalid", { detail: "params.arguments must be an object." });
  const args: Record<string, string> = Object.create(null);
  for (const argument of prompt.definition.arguments ?? []) {
    const value = member(given, argument.name);
    if (value === undefined) {
      if (argument.required === true)
        return refuse("params_invalid", { detail: `The argument ${argument.name} is missing.` });
    } else if (typeof value !== "string" || value.length > MAX_ARGUMENT) {
      return refuse("params_invalid", {
        detail: `The argument ${argument.name} must be a text of at most ${MAX_ARGUMENT} characters.`,
      });
    } else {
      args[argument.name] = value;
    }
  }
  return {
    target: prompt.definition.name,
    readOnly: true,
    answer: null,
    async perform(ctx) {
      try {
        const messages = toPromptMessages(await prompt.definition.get(args, ctx));
        const { description } = prompt.definition;
        return {
          members: membersOf({ ...(description === undefined ? {} : { description }), messages }),
          outcome: "ok",
          code: null,
        };
      } catch (error) {
        if (!(error instanceof CallerError)) throw error;
        return refuse("params_invalid", { detail: error.message });
      }
    },
  };
}

/** A result object's members as JSON, without its braces. */
function membersOf(result: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(result).slice(1, -1);
}
