import type { SampleRequest } from "../tenancy/client.ts";
import type { TenantContext } from "../tenancy/tenant-context.ts";
import { isObject, SdkError } from "./sdk-conversation.ts";

type Json = Readonly<Record<string, unknown>>;

const METHOD_NOT_FOUND = -32_601;
const INVALID_PARAMS = -32_602;

/**
 * Puts a server object's request to the client that called. The server object hears of everything that keeps a client from
 * being asked, and may go on without.
 *
 * @param key names the question within the call.
 */
export async function askClient(
  ctx: TenantContext,
  key: string,
  { method, params }: { readonly method: string; readonly params: Json },
): Promise<Json> {
  switch (method) {
    case "ping":
      return {};
    case "elicitation/create":
      return elicit(ctx, key, params);
    case "sampling/createMessage": {
      if (!ctx.client.can("sampling")) throw cannot("sampling");
      const request = readSampleRequest(params, ctx.client.can("sampling.context"));
      if (request === null) throw new SdkError(INVALID_PARAMS, "This is no request of a model.");
      if (request.tools !== undefined && !ctx.client.can("sampling.tools"))
        throw cannot("sampling with tools");
      return { ...(await ctx.sample(key, request)) };
    }
    case "roots/list":
      if (!ctx.client.can("roots")) throw cannot("roots");
      return { roots: await ctx.roots(key) };
    default:
      throw new SdkError(METHOD_NOT_FOUND, "Method not found.");
  }
}

async function elicit(ctx: TenantContext, key: string, params: Json): Promise<Json> {
  const { message, url, requestedSchema } = params;
  if (typeof message !== "string") throw new SdkError(INVALID_PARAMS, "An elicitation needs a message.");
  if (params.mode === "url") {
    if (!ctx.client.can("elicitation.url")) throw cannot("elicitation by URL");
    if (typeof url !== "string") throw new SdkError(INVALID_PARAMS, "This elicitation needs a URL.");
    const { action } = await ctx.elicit(key, { message, url });
    return { action };
  }
  if (!ctx.client.can("elicitation.form")) throw cannot("elicitation");
  if (!isObject(requestedSchema)) throw new SdkError(INVALID_PARAMS, "This elicitation needs a schema.");
  return ctx.elicit(key, { message, schema: requestedSchema });
}

function cannot(what: string): SdkError {
  return new SdkError(METHOD_NOT_FOUND, `The client does not support ${what}.`);
}

/** @param withContext whether the client knows what `includeContext` means: others must not be sent it. */
function readSampleRequest(params: Json, withContext: boolean): SampleRequest | null {
  const { _meta, task, includeContext, ...rest } = params;
  const request = withContext && includeContext !== undefined ? { ...rest, includeContext } : rest;
  return isSampleRequest(request) ? request : null;
}

function isSampleRequest(request: Json): request is Json & SampleRequest {
  return (
    typeof request.maxTokens === "number" &&
    Array.isArray(request.messages) &&
    request.messages.every(
      (each) => isObject(each) && typeof each.role === "string" && typeof each.content === "object",
    )
  );
}
