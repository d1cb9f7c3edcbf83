import type { Eventually } from "../core/eventually.ts";
import { Fault } from "../core/fault.ts";
import type { BeginLiving, LivingCall } from "../tenancy/living-call.ts";
import type { TenantContext } from "../tenancy/tenant-context.ts";
import type { InputRequest } from "./conversation.ts";
import { isObject, type JsonObject, member } from "./json-rpc.ts";
import { AskedInVain } from "./request-link.ts";

/** What came of one request of a call. */
export type Turn =
  | { readonly kind: "ended"; readonly value: unknown }
  | { readonly kind: "failed"; readonly cause: unknown }
  | { readonly kind: "asks"; readonly requests: Readonly<Record<string, InputRequest>> };

/** Questions of one call that are open at the same time. */
const MAX_OPEN = 64;

interface OpenQuestion {
  readonly request: InputRequest;
  readonly accept: (result: JsonObject) => Eventually<boolean>;
  readonly resolve: (result: JsonObject) => void;
  readonly reject: (why: Error) => void;
}

/** A handler that lives on while its client is away to answer. It is served by one request at a time, or by none. */
export class ParkedCall implements LivingCall {
  readonly #controller = new AbortController();
  readonly #questions = new Map<string, OpenQuestion>();
  #ctx: TenantContext | null = null;
  #outcome: Turn | null = null;
  #handler: Promise<void> = Promise.resolve();
  /** Who waits for what comes of the request that is served. */
  #waiter: ((turn: Turn) => void) | null = null;
  #due = false;

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Resolves when the handler has ended: where it does not look at its signal, long after the call. */
  get handlerEnded(): Promise<void> {
    return this.#handler;
  }

  current(): TenantContext {
    if (this.#ctx === null)
      throw new Fault("context_missing", { detail: "The call waits for its client's answer." });
    return this.#ctx;
  }

  /** Begins the handler, in its first request. */
  begin(ctx: TenantContext, begin: BeginLiving): Promise<Turn> {
    const turn = this.#serve(ctx);
    if (this.#outcome !== null) {
      this.#say(this.#outcome);
      return turn;
    }
    // A handler that throws at once is no different from one that fails later.
    this.#handler = Promise.resolve()
      .then(() => begin(this))
      .then(
        (value) => this.#settle({ kind: "ended", value }),
        (cause: unknown) => this.#settle({ kind: "failed", cause }),
      );
    return turn;
  }

  /** Goes on with the client's answers. Questions that none of them answers are asked again. */
  async resume(ctx: TenantContext, responses: JsonObject): Promise<Turn> {
    const turn = this.#serve(ctx);
    if (this.#outcome !== null) this.#say(this.#outcome);
    else await this.#take(responses);
    return turn;
  }

  ask(
    key: string,
    request: InputRequest,
    accept: (result: JsonObject) => Eventually<boolean>,
  ): Promise<JsonObject> {
    if (this.signal.aborted) return Promise.reject(new AskedInVain());
    if (this.#questions.has(key) || this.#questions.size === MAX_OPEN)
      return Promise.reject(
        new TypeError(`A call may ask ${MAX_OPEN} questions at once, each by its own key.`),
      );
    return new Promise((resolve, reject) => {
      this.#questions.set(key, { request, accept, resolve, reject });
      this.#askSoon();
    });
  }

  /** Serves one request. Where its caller goes away, or may not have it any more, the call is over. */
  async whileWanted(signal: AbortSignal, serve: () => Promise<Turn>): Promise<Turn> {
    const end = (): void => this.end();
    signal.addEventListener("abort", end);
    try {
      if (signal.aborted) this.end();
      return await serve();
    } catch (cause) {
      // It is not parked, so that nobody could come for it.
      this.end();
      throw cause;
    } finally {
      signal.removeEventListener("abort", end);
    }
  }

  /** Nobody will come for it any more: whatever it waits for rejects, so that it can end. */
  end(): void {
    if (this.signal.aborted) return;
    this.#controller.abort(new Fault("cancelled"));
    for (const { reject } of this.#questions.values()) reject(new AskedInVain());
    this.#questions.clear();
    this.#settle({ kind: "failed", cause: new AskedInVain() });
  }

  #serve(ctx: TenantContext): Promise<Turn> {
    this.#ctx = ctx;
    return new Promise((resolve) => {
      this.#waiter = resolve;
    });
  }

  async #take(responses: JsonObject): Promise<void> {
    for (const [key, question] of [...this.#questions]) {
      const given = member(responses, key);
      if (!isObject(given) || !(await question.accept(given))) continue;
      this.#questions.delete(key);
      question.resolve(given);
    }
    this.#askSoon();
  }

  /** After this turn of the handler, in which it may ask more. */
  #askSoon(): void {
    if (this.#due) return;
    this.#due = true;
    setImmediate(() => {
      this.#due = false;
      if (this.#waiter === null || this.#questions.size === 0) return;
      const open = [...this.#questions].map(([key, { request }]) => [key, request]);
      this.#say({ kind: "asks", requests: Object.fromEntries(open) });
    });
  }

  #settle(outcome: Turn): void {
    this.#outcome ??= outcome;
    this.#say(this.#outcome);
  }

  #say(turn: Turn): void {
    const waiter = this.#waiter;
    if (waiter === null) return;
    this.#waiter = null;
    // What the handler does until the next request is of no tenant.
    this.#ctx = null;
    waiter(turn);
  }
}
