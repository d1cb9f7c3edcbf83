/** The previous generation on one channel: `initialize` begins it, and it ends with the channel. */
import { randomBytes } from "node:crypto";
import type { Catalog } from "./catalog/catalog.ts";
import type { Clock } from "./core/clock.ts";
import type { EventSink } from "./core/event.ts";
import type { IdSource } from "./core/ids.ts";
import { isRefusal, type Refusal, refuse } from "./core/refusal.ts";
import type { Caller } from "./identity/caller.ts";
import type { AuditTrail } from "./observe/audit-trail.ts";
import type { OpenConversation } from "./protocol/conversation.ts";
import { capabilitiesOf } from "./protocol/discover.ts";
import { createClientAnswers } from "./protocol/earlier/client-answers.ts";
import { initialized, readInitialize } from "./protocol/earlier/initialize.ts";
import { type ClientLine, LiveConversation } from "./protocol/earlier/live-conversation.ts";
import {
  type ClientMessage,
  type ClientResponse,
  type RequestId,
  resultResponse,
} from "./protocol/json-rpc.ts";
import { recordOpening } from "./protocol/record-opening.ts";
import type { Session } from "./protocol/session.ts";
import type { Sessions } from "./protocol/sessions.ts";
import { principalKey } from "./tenancy/principal.ts";

/** What a session is made of. */
export interface LocalSessionRooms {
  readonly clock: Clock;
  readonly ids: Pick<IdSource, "operation">;
  readonly emit: EventSink;
  readonly audit: Pick<AuditTrail, "record">;
  readonly catalog: Catalog;
  readonly sessions: Pick<Sessions, "create" | "get" | "end" | "setLogLevel" | "subscribe">;
}

export class LocalSession {
  readonly #rooms: LocalSessionRooms;
  readonly #onBegun: (caller: Caller) => void;
  readonly #answers = createClientAnswers(randomBytes);
  #session: Promise<Session | Refusal> | null = null;
  /**
   * As it was last read, with what its client has set: nobody else knows that once it is gone. It is read with each
   * request, and now and then by its stream of changes.
   */
  #lastSeen: Session | null = null;

  /** @param onBegun told once, when the client knows that there is a session. */
  constructor(rooms: LocalSessionRooms, onBegun: (caller: Caller) => void) {
    this.#rooms = rooms;
    this.#onBegun = onBegun;
  }

  /** Answers `initialize`. */
  async initialize(
    message: ClientMessage & { readonly id: RequestId },
    of: { readonly caller: Caller; readonly bytesIn: number; readonly answer: (text: string) => void },
  ): Promise<Refusal | null> {
    const { clock, catalog } = this.#rooms;
    const { caller } = of;
    const [at, started] = [clock.now(), clock.monotonic()];
    if (this.#session !== null) {
      return refuse("message_invalid", { detail: "initialize comes first, and once." });
    }
    const read = readInitialize(message.params);
    if (isRefusal(read)) return read;
    const { snapshot, principal } = caller;
    const creating = this.#rooms.sessions.create({
      tenantId: snapshot.id,
      principalKey: principalKey(principal),
      revision: read.revision,
      client: read.client,
    });
    this.#session = creating;
    const session = await creating.catch((error: unknown) => {
      this.#session = null;
      throw error;
    });
    if (isRefusal(session)) {
      this.#session = null;
      return session;
    }
    const { server } = catalog;
    const opened = initialized(read.revision, { server, capabilities: capabilitiesOf(catalog) });
    const text = resultResponse(message.id, opened.members);
    recordOpening(this.#rooms, {
      principal,
      method: "initialize",
      revision: read.revision,
      traceId: null,
      at,
      started,
      bytesIn: of.bytesIn,
      bytesOut: Buffer.byteLength(text),
    });
    of.answer(text);
    this.#onBegun(caller);
    return null;
  }

  /** The session as it is now. Null: there is none. */
  async current(): Promise<Session | Refusal | null> {
    const begun = this.#session;
    const session = begun === null ? null : await begun;
    if (session === null || isRefusal(session)) return session;
    const { tenantId, id, principalKey } = session;
    const now = await this.#rooms.sessions.get(tenantId, id, principalKey);
    if (now !== null) {
      if (this.#session === begun) this.#lastSeen = now;
      return now;
    }
    // It was idle for longer than sessions are kept. The client on this channel has no way to begin another: one for all
    // that ask now, and where that fails whoever asks next tries again.
    if (this.#session === begun) this.#session = this.#renew(this.#lastSeen ?? session);
    return this.#session;
  }

  async #renew(gone: Session): Promise<Session | Refusal> {
    const { sessions } = this.#rooms;
    const { tenantId, principalKey, revision, client, logLevel, subscriptions } = gone;
    let renewed: Session | Refusal | null = null;
    try {
      let made = await sessions.create({ tenantId, principalKey, revision, client });
      if (!isRefusal(made) && logLevel !== null) made = await sessions.setLogLevel(made, logLevel);
      for (const uri of subscriptions) if (!isRefusal(made)) made = await sessions.subscribe(made, uri);
      renewed = made;
      return renewed;
    } finally {
      if (renewed === null || isRefusal(renewed)) this.#session = Promise.resolve(gone);
    }
  }

  /** A client's answer to a question of ours. One to none is dropped: there is nobody to tell. */
  async take({ id, result, error }: ClientResponse): Promise<void> {
    const session = this.#session === null ? null : await this.#session;
    if (session === null || isRefusal(session)) return;
    this.#answers.take(session, id, { result, error });
  }

  /** How the handler of one request asks the client. It must be closed when the call is over. */
  converse(session: Session, line: ClientLine): { readonly open: OpenConversation; close(): void } {
    let conversation: LiveConversation | null = null;
    return {
      open: (run) => {
        conversation = new LiveConversation(run, { session, line, answers: this.#answers });
        return conversation;
      },
      close: () => conversation?.close(),
    };
  }

  async end(): Promise<void> {
    const session = this.#session === null ? null : await this.#session;
    if (session !== null && !isRefusal(session)) await this.#rooms.sessions.end(session);
  }
}
