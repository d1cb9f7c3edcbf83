import { Fault } from "../core/fault.ts";
import { type Refusal, refuse } from "../core/refusal.ts";
import type { MessageLevel } from "../tenancy/client.ts";
import { type LivingCall, LivingContext } from "../tenancy/living-call.ts";
import type { Principal } from "../tenancy/principal.ts";
import { RequestContext } from "../tenancy/request-context.ts";
import { runInTenant, type TenantContext } from "../tenancy/tenant-context.ts";
import { RefusedByServer } from "./refused-by-server.ts";
import { isObject, type SdkClient, SdkConversation, SdkError } from "./sdk-conversation.ts";
import { watchHandlers } from "./sdk-handlers.ts";
import { askClient } from "./sdk-questions.ts";
import { SDK_REVISION, type SdkServerFactory } from "./sdk-server.ts";

type Json = Readonly<Record<string, unknown>>;

/** A request as it is passed on. */
export interface SdkRequest {
  readonly method: "tools/call" | "resources/read" | "prompts/get" | "completion/complete";
  readonly params: Json;
}

/** What a request came to, as JSON: its handler may be on another instance than its caller. */
type Outcome = { readonly kind: "result"; readonly result: Json } | SdkFailure;

interface SdkFailure {
  readonly kind: "error";
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

/** With it the server object may tell how far a request is; whether the client wants to know is looked at later. */
const PROGRESS_TOKEN = 1;
/** Characters of a server object's error that its caller is told. */
const MAX_MESSAGE = 2_000;

/**
 * Passes one request on to a server object made for it.
 *
 * @returns the result, as the server object wrote it.
 * @throws RefusedByServer for an answer that is an error.
 */
export async function callSdkServer(
  factory: SdkServerFactory,
  request: SdkRequest,
  ctx: TenantContext,
): Promise<Json> {
  // What handlers are given, and nobody else makes.
  if (!(ctx instanceof RequestContext)) throw new Fault("context_missing");
  const outcome = readOutcome(await ctx.live((call) => perform(factory, request, call)));
  if (outcome.kind === "result") return outcome.result;
  throw new RefusedByServer(refusalOf(outcome, request, ctx.client.revision));
}

/** In the tenant's context from the factory on, so that `currentTenant()` knows whose call it is. */
function perform(factory: SdkServerFactory, request: SdkRequest, call: LivingCall): Promise<Outcome> {
  const ctx = new LivingContext(call);
  return runInTenant(ctx, async (): Promise<Outcome> => {
    const { signal } = call;
    let questions = 0;
    const server = await factory({ era: "legacy" });
    const { conversation } = await SdkConversation.open(server, {
      client: clientOf(ctx),
      listener: {
        asked: (method, params) => askClient(ctx, `q${++questions}`, { method, params }),
        notified: (method, params) => passOn(ctx, method, params),
      },
      signal,
    });
    const ended = watchHandlers(server, request.method);
    try {
      const params = { ...request.params, _meta: { progressToken: PROGRESS_TOKEN } };
      return { kind: "result", result: await conversation.request(request.method, params, signal) };
    } catch (error) {
      if (!(error instanceof SdkError)) throw error;
      const { code, message, data } = error;
      // Of others it goes nowhere, and need not be JSON.
      return { kind: "error", code, message, ...(code === URL_ELICITATION_REQUIRED ? { data } : {}) };
    } finally {
      await conversation.close();
      // One that does not look at its signal has its place among the tenant's operations until then.
      await ended();
    }
  });
}

/** The caller's program, as it described itself. */
function clientOf({ client, principal, tenant }: TenantContext): SdkClient {
  const elicitation = {
    ...(client.can("elicitation.form") ? { form: {} } : {}),
    ...(client.can("elicitation.url") ? { url: {} } : {}),
  };
  const sampling = {
    ...(client.can("sampling.tools") ? { tools: {} } : {}),
    ...(client.can("sampling.context") ? { context: {} } : {}),
  };
  return {
    name: client.name ?? "unknown",
    version: client.version ?? "unknown",
    capabilities: {
      ...(Object.keys(elicitation).length > 0 ? { elicitation } : {}),
      ...(client.can("sampling") ? { sampling } : {}),
      ...(client.can("roots") ? { roots: {} } : {}),
    },
    authInfo: authInfoOf(principal, tenant.slug),
  };
}

/** What the SDK calls `authInfo`. The token itself goes no further than to where it is verified. */
function authInfoOf(principal: Principal, tenant: string): Json {
  const { subject, issuer, clientId, permissions, roles, expiresAt } = principal;
  return {
    token: "",
    clientId: clientId ?? subject,
    scopes: [...permissions],
    expiresAt: Math.floor(expiresAt / 1_000),
    extra: { tenant, subject, issuer, roles: [...roles] },
  };
}

function passOn(ctx: TenantContext, method: string, params: Json): void {
  try {
    tell(ctx, method, params);
  } catch (error) {
    // Said while nobody waits for the call, or nothing that can be told: it is lost, as on a stream that is not there.
    if (!(error instanceof Fault || error instanceof TypeError)) throw error;
  }
}

function tell(ctx: TenantContext, method: string, params: Json): void {
  switch (method) {
    case "notifications/progress": {
      const { progressToken, progress, total, message } = params;
      if (progressToken !== PROGRESS_TOKEN || typeof progress !== "number") return;
      ctx.progress({
        progress,
        ...(typeof total === "number" ? { total } : {}),
        ...(typeof message === "string" ? { message } : {}),
      });
      return;
    }
    case "notifications/message": {
      const { level, data, logger } = params;
      if (isLevel(level)) ctx.message(level, data, typeof logger === "string" ? logger : undefined);
      return;
    }
    case "notifications/tools/list_changed":
      ctx.changed("tools");
      return;
    case "notifications/prompts/list_changed":
      ctx.changed("prompts");
      return;
    case "notifications/resources/list_changed":
      ctx.changed("resources");
      return;
    case "notifications/resources/updated":
      if (typeof params.uri === "string") ctx.changed({ resource: params.uri });
      return;
    default:
      return;
  }
}

const LEVELS: ReadonlySet<unknown> = new Set<MessageLevel>([
  "debug",
  "info",
  "notice",
  "warning",
  "error",
  "critical",
  "alert",
  "emergency",
]);

function isLevel(value: unknown): value is MessageLevel {
  return LEVELS.has(value);
}

/** What this instance, or another one, made in {@link perform}. */
function readOutcome(value: unknown): Outcome {
  if (isObject(value)) {
    const { kind, result, code, message, data } = value;
    if (kind === "result" && isObject(result)) return { kind, result };
    if (kind === "error" && typeof code === "number" && typeof message === "string")
      return { kind, code, message, data };
  }
  throw new TypeError("A call of an adopted server came to nothing that can be read.");
}

/**
 * The error with the code that it has, where it is one of the protocol's, and its message: it was written for whoever
 * called. The SDK itself makes messages of its handlers' exceptions, and they are passed on as it does.
 */
function refusalOf({ code, message, data }: SdkFailure, { params }: SdkRequest, revision: string): Refusal {
  // The SDK puts the code in front; it stands beside the message anyhow.
  const detail = message.replace(/^MCP error -?\d+: /, "").slice(0, MAX_MESSAGE);
  const said = detail === "" ? {} : { detail };
  switch (code) {
    case -32_602:
      return refuse("params_invalid", said);
    case -32_601:
      return refuse("method_unknown", said);
    case -32_002:
      return refuse("resource_unknown", {
        ...said,
        ...(typeof params.uri === "string" ? { data: { uri: params.uri } } : {}),
      });
    case URL_ELICITATION_REQUIRED:
      // To a client that knows it, as it is.
      return revision === SDK_REVISION && namesElicitations(data)
        ? refuse("url_elicitation_required", { ...said, data })
        : refuse("handler_failed", said);
    default:
      return refuse("handler_failed", said);
  }
}

/** "Of 2025-11-25 only" (2026-07-28, basic, "Error Codes"), which is what server objects speak. */
const URL_ELICITATION_REQUIRED = -32_042;

/** Whether a client finds in it what is to be done: addresses alone, each with its id ("URL Elicitation Required Error"). */
function namesElicitations(data: unknown): data is Json {
  if (!isObject(data) || !Array.isArray(data.elicitations) || data.elicitations.length === 0) return false;
  return data.elicitations.every(
    (each) =>
      isObject(each) &&
      each.mode === "url" &&
      [each.url, each.elicitationId, each.message].every((member) => typeof member === "string"),
  );
}
