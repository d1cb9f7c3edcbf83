import { CallerError } from "../../catalog/define.ts";
import type { Eventually } from "../../core/eventually.ts";
import type { Conversation, InputRequest, RunControl } from "../conversation.ts";
import { type JsonObject, member } from "../json-rpc.ts";
import { AskedInVain } from "../request-link.ts";
import type { ClientAnswer, ClientAnswers } from "./client-answers.ts";
import type { OfSession } from "./running-requests.ts";

/** The way to the client: to whoever sent the request whose handler asks. */
export interface ClientLine {
  /** Sends a message, given as JSON. False: nobody can hear it, now or later. */
  say(message: string): boolean;
}

/** How long a client, which may ask a human, has for an answer, in milliseconds. */
const ANSWER_MS = 15 * 60_000;
/** How often a question is put whose answer does not fit. */
const MAX_ASKED = 2;
/** Characters of a client's error that its own user is shown. */
const MAX_ERROR = 500;

/**
 * How a handler asks back in the previous generation: the question is a request to the client on the stream of the call,
 * and the handler waits for the response. It must be closed when the call is over.
 */
export class LiveConversation implements Conversation {
  readonly #run: RunControl;
  readonly #session: OfSession;
  readonly #line: ClientLine;
  readonly #answers: ClientAnswers;
  readonly #answerMs: number;
  readonly #steps = new Map<string, Promise<unknown>>();
  /** What rejects each question that is open. */
  readonly #open = new Set<(why: Error) => void>();
  #closed = false;

  constructor(
    run: RunControl,
    of: {
      readonly session: OfSession;
      readonly line: ClientLine;
      readonly answers: ClientAnswers;
      /** Default a quarter of an hour. */
      readonly answerMs?: number;
    },
  ) {
    this.#run = run;
    this.#session = of.session;
    this.#line = of.line;
    this.#answers = of.answers;
    this.#answerMs = of.answerMs ?? ANSWER_MS;
  }

  async ask(
    _key: string,
    request: InputRequest,
    accept: (result: JsonObject) => Eventually<boolean>,
  ): Promise<JsonObject> {
    for (let asked = 0; asked < MAX_ASKED; asked++) {
      const { result, error } = await this.#run.waiting(this.#put(request));
      if (error !== null) throw new CallerError(`The client answered with an error: ${textOf(error)}`);
      if (result !== null && (await accept(result))) return result;
    }
    throw new CallerError("The client's answer is not one to what it was asked.");
  }

  step(key: string, run: () => unknown): Promise<unknown> {
    const before = this.#steps.get(key);
    if (before !== undefined) return before;
    const outcome = Promise.resolve().then(run);
    this.#steps.set(key, outcome);
    // What failed was not done, and may be tried again.
    outcome.catch(() => this.#steps.delete(key));
    return outcome;
  }

  /** The call is over: open questions reject, so that the handler that waits for them can end. */
  close(): void {
    this.#closed = true;
    for (const reject of [...this.#open]) reject(new AskedInVain());
  }

  #put({ method, params }: InputRequest): Promise<ClientAnswer> {
    if (this.#closed) return Promise.reject(new AskedInVain());
    const { requestId, answer, forget } = this.#answers.expect(this.#session);
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#open.delete(fail);
        forget();
      };
      const fail = (why: Error): void => {
        end();
        reject(why);
      };
      const timer = setTimeout(() => {
        this.#line.say(
          `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"${requestId}","reason":"The answer took too long."}}`,
        );
        fail(new CallerError("The client did not answer in time."));
      }, this.#answerMs);
      this.#open.add(fail);
      answer.then((given) => {
        end();
        resolve(given);
      });
      const question = JSON.stringify({ jsonrpc: "2.0", id: requestId, method, params });
      if (!this.#line.say(question))
        fail(new CallerError("The client takes no questions: it reads no stream."));
    });
  }
}

/** The message of a client's error, which is as good as any text of its user's. */
function textOf(error: JsonObject): string {
  const message = member(error, "message");
  return typeof message === "string" && message !== "" ? message.slice(0, MAX_ERROR) : "no reason given";
}
