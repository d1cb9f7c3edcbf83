import { Fault } from "../core/fault.ts";
import { isObject, SdkConversation, SdkError } from "./sdk-conversation.ts";
import type { SdkServer, SdkServerFactory } from "./sdk-server.ts";

type Json = Readonly<Record<string, unknown>>;

/** Everything that a server says of itself. */
export interface SdkListing {
  /** `name`, `version` and the like. */
  readonly serverInfo: Json;
  readonly instructions: string | undefined;
  readonly tools: readonly Json[];
  readonly resources: readonly Json[];
  readonly resourceTemplates: readonly Json[];
  readonly prompts: readonly Json[];
  readonly completes: boolean;
}

/** Pages of one list: a server that never stops would keep Bulkhead from starting. */
const MAX_PAGES = 1_000;

/**
 * Asks a server what it has, as a client that is nobody's.
 * @throws Fault `module_failed` where it does not say. What the factory throws itself.
 */
export async function listSdkServer(
  factory: SdkServerFactory,
  client: { readonly name: string; readonly version: string },
  signal: AbortSignal,
): Promise<SdkListing> {
  const server = await makeFirst(factory);
  const listener = {
    asked: () => Promise.reject(new SdkError(-32_601, "There is no client yet.")),
    notified: () => {},
  };
  try {
    const { conversation, greeting } = await SdkConversation.open(server, {
      client: { ...client, capabilities: {} },
      listener,
      signal,
    });
    try {
      return await readListing(conversation, greeting, signal);
    } finally {
      await conversation.close();
    }
  } catch (cause) {
    if (cause instanceof Fault) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Fault("module_failed", {
      detail: `The adopted server did not say what it has: ${why}`,
      remedy: `Correct the error shown. ${NO_TENANT}`,
      cause,
    });
  }
}

const NO_TENANT = "At start no tenant calls: factories and lists do without currentTenant().";

async function makeFirst(factory: SdkServerFactory): Promise<SdkServer> {
  try {
    return await factory({ era: "legacy" });
  } catch (cause) {
    if (!(cause instanceof Fault && cause.code === "context_missing")) throw cause;
    throw new Fault("module_failed", {
      detail: "The factory of the adopted server asks for a tenant.",
      remedy: NO_TENANT,
      cause,
    });
  }
}

async function readListing(
  conversation: SdkConversation,
  greeting: Json,
  signal: AbortSignal,
): Promise<SdkListing> {
  const { serverInfo, instructions } = greeting;
  const capabilities = isObject(greeting.capabilities) ? greeting.capabilities : {};
  const all = (has: unknown, method: string, member: string): Promise<readonly Json[]> =>
    isObject(has) ? readPages(conversation, { method, member, signal }) : Promise.resolve([]);
  const { tools, resources, prompts, completions } = capabilities;
  return {
    serverInfo: isObject(serverInfo) ? serverInfo : {},
    instructions: typeof instructions === "string" ? instructions : undefined,
    tools: await all(tools, "tools/list", "tools"),
    resources: await all(resources, "resources/list", "resources"),
    resourceTemplates: await all(resources, "resources/templates/list", "resourceTemplates"),
    prompts: await all(prompts, "prompts/list", "prompts"),
    completes: isObject(completions),
  };
}

async function readPages(
  conversation: SdkConversation,
  of: { readonly method: string; readonly member: string; readonly signal: AbortSignal },
): Promise<readonly Json[]> {
  const entries: Json[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const result = await ask(conversation, of, cursor);
    if (result === null) return entries;
    const listed = result[of.member];
    for (const entry of Array.isArray(listed) ? listed : []) if (isObject(entry)) entries.push(entry);
    if (typeof result.nextCursor !== "string") return entries;
    cursor = result.nextCursor;
  }
  throw new Fault("server_invalid", { detail: `${of.method} has more than ${MAX_PAGES} pages.` });
}

/** One page. Null: the server has no such list, although it has others of its kind. */
async function ask(
  conversation: SdkConversation,
  { method, signal }: { readonly method: string; readonly signal: AbortSignal },
  cursor: string | undefined,
): Promise<Json | null> {
  try {
    return await conversation.request(method, cursor === undefined ? {} : { cursor }, signal);
  } catch (error) {
    if (error instanceof SdkError && error.code === METHOD_NOT_FOUND) return null;
    throw error;
  }
}

const METHOD_NOT_FOUND = -32_601;
