import type { Catalog, CatalogPrompt, CatalogResource, CatalogTool } from "../catalog/catalog.ts";
import { CallerError } from "../catalog/define.ts";
import { RefusedByServer } from "../catalog/refused-by-server.ts";
import {
  errorResult,
  toFittingResult,
  toPromptResult,
  toResourceContents,
  toToolResult,
} from "../catalog/results.ts";
import type { Validation } from "../catalog/schemas.ts";
import type { ListKind, TenantView } from "../catalog/tenant-view.ts";
import type { Eventually } from "../core/eventually.ts";
import { isRefusal, type Refusal, refuse } from "../core/refusal.ts";
import type { AccessPolicy, AllowedAccess, DeniedAccess } from "../identity/access-policy.ts";
import type { TenantContext } from "../tenancy/tenant-context.ts";
import { completeArgument } from "./completion.ts";
import { discover } from "./discover.ts";
import { isObject, type JsonObject, member } from "./json-rpc.ts";
import type { McpRequest, Method } from "./mcp-request.ts";
import { complete, type Performed } from "./performed.ts";
import { checkParameterHeaders } from "./revision-2026-07-28.ts";
import { CURRENT, type Revision } from "./revisions.ts";
import { shapeContents, shapeMessages, shapeToolResult } from "./shape.ts";

/** An operation that may be performed: found in the tenant's view, permitted, its arguments valid. */
export interface Operation {
  /** Registered name, never free text. */
  readonly target: string | null;
  /** False: it may change something, and leaves an intent before it runs. */
  readonly readOnly: boolean;
  /** Why the caller may. */
  readonly access: AllowedAccess;
  /** The tool whose handler this runs; null where it is none's. */
  readonly tool: CatalogTool | null;
  /** Null where the answer is known without a handler. */
  readonly answer: Performed | null;
  /** What is done of a call before it goes on in the background. Gives the answer where it ends there. */
  before?(ctx: TenantContext): Promise<Performed | null>;
  /** Runs the handler. Gives a refusal where it said that there is no such thing; throws what the handler throws. */
  perform(ctx: TenantContext): Promise<Performed | Refusal>;
}

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
export function resolveOperation(
  request: McpRequest,
  from: {
    readonly catalog: Catalog;
    readonly view: TenantView;
    readonly granted: ReadonlySet<string>;
    readonly policy: AccessPolicy;
  },
): Eventually<Operation | Refusal> {
  const { view, granted, policy } = from;
  const kind = LISTS.get(request.method);
  if (kind !== undefined) {
    const cursor = member(request.params, "cursor");
    if (cursor !== undefined && typeof cursor !== "string") return refuse("cursor_invalid");
    const generation = request.revision === CURRENT ? "current" : "earlier";
    const members = view.list(kind, { granted, generation }, cursor);
    return isRefusal(members)
      ? members
      : answered({ resultType: "complete", members, meta: null, outcome: "ok", code: null });
  }
  switch (request.method) {
    case "server/discover":
      return answered(discover(from.catalog));
    case "ping":
      return answered(complete({}));
    case "tools/call": {
      const tool = view.tool(request.name ?? "");
      if (tool === null) return refuse("tool_unknown");
      const access = policy.decide(granted, tool.definition.requires);
      if (!access.allowed) return lacking(access);
      return callTool(tool, request, access);
    }
    case "resources/read": {
      const uri = request.name ?? "";
      const found = view.resource(uri);
      if (found === null) return refuse("resource_unknown", { data: { uri } });
      const access = policy.decide(granted, found.resource.definition.requires);
      if (!access.allowed) return lacking(access);
      return readResource(found.resource, { uri, variables: found.variables }, request.revision, access);
    }
    case "prompts/get": {
      const prompt = view.prompt(request.name ?? "");
      if (prompt === null) return refuse("prompt_unknown");
      const access = policy.decide(granted, prompt.definition.requires);
      if (!access.allowed) return lacking(access);
      return getPrompt(prompt, member(request.params, "arguments"), request.revision, access);
    }
    case "completion/complete": {
      const found = completeArgument(request.params, view);
      if (isRefusal(found)) return found;
      const access = policy.decide(granted, found.requires);
      return access.allowed ? { ...found, access } : lacking(access);
    }
    default:
      return refuse("method_unknown");
  }
}

/** An operation whose answer is known without a handler. Lists and the like need no permission: they show what the caller may use. */
export function answered(answer: Performed): Operation {
  const access: AllowedAccess = { allowed: true, reason: "not_required" };
  return {
    target: null,
    readOnly: true,
    access,
    tool: null,
    answer,
    perform: () => Promise.resolve(answer),
  };
}

function lacking({ permission }: DeniedAccess): Refusal {
  return refuse("scope_insufficient", { scopes: [permission] });
}

function callTool(
  tool: CatalogTool,
  request: McpRequest,
  access: AllowedAccess,
): Eventually<Operation | Refusal> {
  const sent = member(request.params, "arguments");
  const args: unknown = sent === undefined ? {} : sent;
  if (!isObject(args)) return refuse("params_invalid", { detail: "params.arguments must be an object." });
  if (request.headers !== null) {
    const mismatch = checkParameterHeaders(tool.headers, args, request.headers);
    if (mismatch !== null) return mismatch;
  }
  const failed = (cause: unknown): Operation =>
    // A check of the module's own threw, or arguments nested deep enough to use up the stack of a recursive schema.
    ({
      target: tool.definition.name,
      readOnly: true,
      access,
      tool: null,
      answer: null,
      perform: () => Promise.reject(cause),
    });
  try {
    const pending = tool.input.validate(args);
    return pending instanceof Promise
      ? pending.then((validation) => withInput(tool, validation, request.revision, access), failed)
      : withInput(tool, pending, request.revision, access);
  } catch (cause) {
    return failed(cause);
  }
}

/** The call of a tool with arguments that were validated. */
function withInput(
  tool: CatalogTool,
  validation: Validation,
  revision: Revision,
  access: AllowedAccess,
): Operation {
  const target = tool.definition.name;
  if (!validation.valid) {
    // An error of the tool, not of the protocol, so that a model can correct itself ("Error Handling" of tools).
    const said = toolError(`Invalid arguments: ${validation.issues}`);
    const answer: Performed = { ...said, code: "params_invalid" };
    return { target, readOnly: true, access, tool: null, answer, perform: () => Promise.resolve(answer) };
  }
  const input = validation.value as never;
  return {
    target,
    readOnly: tool.readOnly,
    access,
    tool,
    answer: null,
    async before(ctx) {
      try {
        await tool.definition.task?.before?.(input, ctx);
        return null;
      } catch (error) {
        if (!(error instanceof CallerError)) throw error;
        return toolError(error.message);
      }
    },
    async perform(ctx) {
      try {
        const returned = await tool.definition.run(input, ctx);
        const result =
          tool.output === null ? toToolResult(returned) : await toFittingResult(returned, tool.output);
        const outcome = result.isError === true ? "tool_error" : "ok";
        return complete(shapeToolResult(result, revision), result._meta, outcome);
      } catch (error) {
        if (error instanceof RefusedByServer) return error.refusal;
        if (!(error instanceof CallerError)) throw error;
        return toolError(error.message);
      }
    },
  };
}

function toolError(text: string): Performed {
  return complete(errorResult(text), undefined, "tool_error");
}

function readResource(
  resource: CatalogResource,
  { uri, variables }: { readonly uri: string; readonly variables: Readonly<Record<string, string>> },
  revision: Revision,
  access: AllowedAccess,
): Operation {
  return {
    target: resource.definition.uri,
    readOnly: true,
    access,
    tool: null,
    answer: null,
    async perform(ctx) {
      try {
        const value = await resource.definition.read(variables, ctx, uri);
        if (value === undefined) return refuse("resource_unknown", { data: { uri } });
        const { contents, _meta } = toResourceContents(uri, resource.definition.mimeType, value);
        return complete(shapeContents(contents, revision), _meta);
      } catch (error) {
        if (error instanceof RefusedByServer) return error.refusal;
        if (!(error instanceof CallerError)) throw error;
        return refuse("params_invalid", { detail: error.message });
      }
    },
  };
}

function getPrompt(
  prompt: CatalogPrompt,
  sent: unknown,
  revision: Revision,
  access: AllowedAccess,
): Operation | Refusal {
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
    access,
    tool: null,
    answer: null,
    async perform(ctx) {
      try {
        const result = toPromptResult(await prompt.definition.get(args, ctx));
        const description = result.description ?? prompt.definition.description;
        const said = description === undefined ? {} : { description };
        return complete({ ...said, messages: shapeMessages(result.messages, revision) }, result._meta);
      } catch (error) {
        if (error instanceof RefusedByServer) return error.refusal;
        if (!(error instanceof CallerError)) throw error;
        return refuse("params_invalid", { detail: error.message });
      }
    },
  };
}
