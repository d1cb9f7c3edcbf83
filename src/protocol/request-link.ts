import type { Eventually } from "../core/eventually.ts";
import { Fault } from "../core/fault.ts";
import { refuse } from "../core/refusal.ts";
import type { SchemaLike, Validated } from "../core/schema.ts";
import type {
  Client,
  ClientAbility,
  ElicitAnswer,
  ElicitRequest,
  MessageLevel,
  Progress,
  Root,
  SampleAnswer,
  SampleRequest,
  TraceContext,
} from "../tenancy/client.ts";
import type { BeginLiving, ContinuableContext, LivingLink } from "../tenancy/living-call.ts";
import { abilitiesOf, missingAbility } from "./client-abilities.ts";
import type {
  Conversation,
  HandlerKind,
  InputRequest,
  OpenConversation,
  RunControl,
} from "./conversation.ts";
import type { Elicitations } from "./elicitations.ts";
import { isObject, type JsonObject, member } from "./json-rpc.ts";
import type { McpRequest } from "./mcp-request.ts";
import { isAtLeast, isLevel } from "./message-levels.ts";
import type { Reply } from "./reply.ts";
import { isSampleAnswer, sampleAbilities } from "./sampling.ts";

/** Names of questions and steps. */
const KEY = /^[A-Za-z0-9_.-]{1,64}$/;
/** Longest message of a handler to its client, as JSON. */
const MAX_MESSAGE = 65_536;

/** What a link needs besides the request and the way back. */
export interface LinkParts {
  readonly open: OpenConversation;
  readonly run: RunControl;
  readonly elicitations: Elicitations;
}

/** What a link uses of a request. */
type LinkedRequest = Pick<McpRequest, "client" | "revision" | "trace" | "progressToken" | "logLevel">;

/** The link of one request's handler to the client that sent it. Made for each, so it holds references and nothing more. */
export class RequestLink implements LivingLink {
  #request: LinkedRequest;
  /** Null when the call is over: the way back leads to the connection, and to all that came by it. */
  #open: { readonly reply: Reply; readonly parts: LinkParts } | null;
  #conversation: Conversation | null = null;
  #client: Client | null = null;
  #lastProgress = Number.NEGATIVE_INFINITY;

  constructor(request: LinkedRequest, reply: Reply, parts: LinkParts) {
    this.#request = request;
    this.#open = { reply, parts };
  }

  /** The call is over: what its handler still says goes nowhere. */
  release(): void {
    this.#open = null;
    this.#conversation = null;
    // Its arguments may be large, and a context that was kept keeps this.
    const { client, revision, trace, progressToken, logLevel } = this.#request;
    this.#request = { client, revision, trace, progressToken, logLevel };
  }

  get client(): Client {
    if (this.#client === null) {
      const { client, revision } = this.#request;
      const abilities = abilitiesOf(client.capabilities);
      this.#client = Object.freeze({
        name: client.name,
        version: client.version,
        revision,
        can: (ability: ClientAbility) => abilities.has(ability),
      });
    }
    return this.#client;
  }

  get trace(): TraceContext | null {
    return this.#request.trace;
  }

  progress({ progress, total, message }: Progress): void {
    const token = this.#request.progressToken;
    // "The progress value MUST increase with each notification": one that does not is not worth failing a call for.
    if (token === null || !(progress > this.#lastProgress) || !Number.isFinite(progress)) return;
    this.#lastProgress = progress;
    const known = total !== undefined && Number.isFinite(total) ? { total } : {};
    const said = message === undefined ? {} : { message: String(message).slice(0, MAX_MESSAGE) };
    this.#open?.reply.notify(
      "notifications/progress",
      JSON.stringify({ progressToken: token, progress, ...known, ...said }),
    );
  }

  message(level: MessageLevel, data: unknown, logger: string | undefined): void {
    const least = this.#request.logLevel;
    if (least === null || !isLevel(level) || !isAtLeast(level, least)) return;
    const text = JSON.stringify({ level, ...(logger === undefined ? {} : { logger }), data: data ?? null });
    if (text.length <= MAX_MESSAGE) this.#open?.reply.notify("notifications/message", text);
  }

  elicit<S extends SchemaLike>(key: string, request: ElicitRequest<S>): Promise<ElicitAnswer<Validated<S>>> {
    return heard(this.#elicit(key, request));
  }

  sample(key: string, request: SampleRequest): Promise<SampleAnswer> {
    return heard(this.#sample(key, request));
  }

  roots(key: string): Promise<readonly Root[]> {
    return heard(this.#roots(key));
  }

  step<T>(key: string, run: () => T | Promise<T>): Promise<T> {
    return heard(this.#step(key, run));
  }

  detach(retryMs: number | undefined): void {
    this.#open?.reply.detach(retryMs);
  }

  async #elicit<S extends SchemaLike>(
    key: string,
    request: ElicitRequest<S>,
  ): Promise<ElicitAnswer<Validated<S>>> {
    const question = this.#whileOpen().parts.elicitations.prepare<S>(request, this.#request.revision);
    const result = await this.#ask(key, [question.needs], question.request, question.accepts);
    return question.read(result);
  }

  async #sample(key: string, request: SampleRequest): Promise<SampleAnswer> {
    const params = { ...request };
    const result = await this.#ask(
      key,
      sampleAbilities(request),
      { method: "sampling/createMessage", params },
      isSampleAnswer,
    );
    return result as unknown as SampleAnswer;
  }

  async #roots(key: string): Promise<readonly Root[]> {
    const request: InputRequest = { method: "roots/list", params: {} };
    const result = await this.#ask(key, ["roots"], request, (given) => readRoots(given) !== null);
    return readRoots(result) ?? [];
  }

  async #step<T>(key: string, run: () => T | Promise<T>): Promise<T> {
    checkKey(key);
    return (await this.#talk().step(key, run)) as T;
  }

  #ask(
    key: string,
    needs: readonly ClientAbility[],
    request: InputRequest,
    accept: (result: JsonObject) => Eventually<boolean>,
  ): Promise<JsonObject> {
    checkKey(key);
    const lacks = needs.find((ability) => !this.client.can(ability));
    if (lacks !== undefined) {
      this.#whileOpen().parts.run.suspend(
        refuse("client_capability_missing", { data: { requiredCapabilities: missingAbility(lacks) } }),
      );
      // The run is over; what the handler still does is of no account.
      return Promise.reject(new AskedInVain());
    }
    return this.#talk().ask(key, request, accept);
  }

  async live(ctx: ContinuableContext, begin: BeginLiving): Promise<unknown> {
    const { elicitations } = this.#whileOpen().parts;
    const conversation = this.#talk("living");
    if (conversation.live === undefined) return begin({ current: () => ctx, signal: ctx.signal });
    const request = this.#request;
    return conversation.live(
      {
        ctx,
        again: ({ conversation: asking, run, ...continuation }) => {
          const parts: LinkParts = { open: () => asking, run, elicitations };
          return ctx.continued({ ...continuation, link: new RequestLink(request, NOBODY, parts) });
        },
      },
      begin,
    );
  }

  #talk(kind?: HandlerKind): Conversation {
    const { parts } = this.#whileOpen();
    this.#conversation ??= parts.open(parts.run, kind);
    return this.#conversation;
  }

  #whileOpen(): { readonly reply: Reply; readonly parts: LinkParts } {
    if (this.#open === null) throw new Fault("context_missing", { detail: "The call is over." });
    return this.#open;
  }
}

/** The way back to a client that waits at another instance. */
const NOBODY: Reply = Object.freeze({
  gone: false,
  notify: () => {},
  answer: () => {},
  onGone: () => {},
  detach: () => {},
});

/** What a question rejects with when the run is over: so that a handler's own `finally` runs. */
export class AskedInVain extends Error {
  override readonly name = "AskedInVain";
  override readonly message = "The run ended here: it goes on when the client has answered.";
}

/** Asking twice and awaiting the first leaves the second's rejection to nobody: Node would end the process for it. */
function heard<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

function checkKey(key: string): void {
  if (typeof key !== "string" || !KEY.test(key))
    throw new TypeError("The key of a question or a step is 1 to 64 characters of A-Z, a-z, 0-9, _, - and .");
}

function readRoots(result: JsonObject): readonly Root[] | null {
  const roots = member(result, "roots");
  if (!Array.isArray(roots)) return null;
  const read: Root[] = [];
  for (const root of roots) {
    if (!isObject(root)) return null;
    const { uri, name } = root;
    if (typeof uri !== "string" || !(name === undefined || typeof name === "string")) return null;
    read.push(name === undefined ? { uri } : { uri, name });
  }
  return read;
}
