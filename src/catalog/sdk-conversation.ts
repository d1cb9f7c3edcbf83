import { Fault } from "../core/fault.ts";
import { SDK_REVISION, type SdkServer } from "./sdk-server.ts";

type Json = Readonly<Record<string, unknown>>;

/** A request's error, as the server object wrote it. */
export class SdkError extends Error {
  override readonly name = "SdkError";
  readonly code: number;
  readonly data: unknown;

  constructor(code: number, message: string, data?: unknown) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

/** What is heard of a server object besides its answers. */
export interface SdkListener {
  /** It asks the client. What this gives is the result; what it throws, the error. */
  asked(method: string, params: Json): Promise<Json>;
  notified(method: string, params: Json): void;
}

/** Who speaks with it, as `initialize` says it. */
export interface SdkClient {
  readonly name: string;
  readonly version: string;
  readonly capabilities: Json;
  /** What its handlers are told of the caller: no token is among it. */
  readonly authInfo?: Json;
}

interface Pending {
  readonly resolve: (result: Json) => void;
  readonly reject: (why: Error) => void;
}

/** JSON-RPC's "Internal error". */
const INTERNAL = -32_603;
/** Characters of an error that a server object is told. */
const MAX_ERROR = 500;

/**
 * A conversation with one server object, inside this process. Messages go by reference, as through the SDK's own
 * in-memory transport.
 */
export class SdkConversation {
  readonly #server: SdkServer;
  readonly #client: SdkClient;
  readonly #listener: SdkListener;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #closed = false;
  /** Set by the server object when it is connected. */
  readonly #transport: {
    onmessage?: ((message: Json, extra?: Json) => void) | undefined;
    onclose?: (() => void) | undefined;
    onerror?: ((error: Error) => void) | undefined;
    start(): Promise<void>;
    send(message: Json): Promise<void>;
    close(): Promise<void>;
  };

  private constructor(server: SdkServer, client: SdkClient, listener: SdkListener) {
    this.#server = server;
    this.#client = client;
    this.#listener = listener;
    this.#transport = {
      start: () => Promise.resolve(),
      send: async (message) => this.#hear(message),
      close: async () => this.#end(),
    };
  }

  /**
   * Connects a server object and greets it.
   *
   * @param signal ends the conversation.
   * @returns the conversation, and what the server said of itself.
   */
  static async open(
    server: SdkServer,
    of: { readonly client: SdkClient; readonly listener: SdkListener; readonly signal: AbortSignal },
  ): Promise<{ readonly conversation: SdkConversation; readonly greeting: Json }> {
    const conversation = new SdkConversation(server, of.client, of.listener);
    try {
      of.signal.throwIfAborted();
      await server.connect(conversation.#transport);
      const { name, version, capabilities } = of.client;
      const greeting = await conversation.request(
        "initialize",
        { protocolVersion: SDK_REVISION, capabilities, clientInfo: { name, version } },
        of.signal,
      );
      conversation.notify("notifications/initialized");
      return { conversation, greeting };
    } catch (cause) {
      await conversation.close();
      throw cause;
    }
  }

  /**
   * @throws SdkError for an answer that is one, and the signal's reason when it is aborted: then the server object is told.
   */
  request(method: string, params: Json, signal: AbortSignal): Promise<Json> {
    const id = ++this.#lastId;
    return new Promise<Json>((resolve, reject) => {
      const cancel = (): void => {
        this.#pending.delete(id);
        this.notify("notifications/cancelled", { requestId: id, reason: "The call is over." });
        reject(reasonOf(signal));
      };
      if (signal.aborted) return reject(reasonOf(signal));
      signal.addEventListener("abort", cancel);
      const forget = (): void => signal.removeEventListener("abort", cancel);
      this.#pending.set(id, {
        resolve: (result) => {
          forget();
          resolve(result);
        },
        reject: (why) => {
          forget();
          reject(why);
        },
      });
      if (this.#closed) this.#end();
      else this.#tell({ jsonrpc: "2.0", id, method, params });
    });
  }

  notify(method: string, params?: Json): void {
    if (!this.#closed) this.#tell({ jsonrpc: "2.0", method, ...(params === undefined ? {} : { params }) });
  }

  /** Closes the server object, whatever it says to that. */
  async close(): Promise<void> {
    try {
      await this.#server.close();
    } catch {
      // It serves nobody any more.
    } finally {
      // One that was never connected does not close its transport.
      this.#end();
    }
  }

  #tell(message: Json): void {
    const { authInfo } = this.#client;
    this.#transport.onmessage?.(message, authInfo === undefined ? {} : { authInfo });
  }

  #hear(message: Json): void {
    if (this.#closed) return;
    const { id, method, params, result, error } = message;
    const given = isObject(params) ? params : {};
    if (typeof method === "string") {
      if (id === undefined) this.#listener.notified(method, given);
      else this.#answer(id, method, given);
      return;
    }
    const pending = typeof id === "number" ? this.#pending.get(id) : undefined;
    if (typeof id !== "number" || pending === undefined) return;
    this.#pending.delete(id);
    if (isObject(result)) pending.resolve(result);
    else pending.reject(errorOf(error));
  }

  /** Later: a handler does not expect its request to be answered before it was sent. */
  async #answer(id: unknown, method: string, params: Json): Promise<void> {
    let answer: Json;
    try {
      answer = { result: await this.#listener.asked(method, params) };
    } catch (cause) {
      const code = cause instanceof SdkError ? cause.code : INTERNAL;
      const message =
        cause instanceof Error ? cause.message.slice(0, MAX_ERROR) : "The client cannot be asked.";
      answer = { error: { code, message } };
    }
    if (!this.#closed) this.#tell({ jsonrpc: "2.0", id, ...answer });
  }

  #end(): void {
    const first = !this.#closed;
    this.#closed = true;
    if (first) this.#transport.onclose?.();
    const open = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of open)
      reject(new SdkError(INTERNAL, "The server closed its connection before it answered."));
  }
}

function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Fault("cancelled");
}

function errorOf(error: unknown): SdkError {
  const { code, message, data } = isObject(error) ? error : {};
  return new SdkError(
    typeof code === "number" ? code : INTERNAL,
    typeof message === "string" ? message : "",
    data,
  );
}

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
