/** A client of one tenant over a pair of streams: its messages, what runs for it, and the end of both. */
import type { Readable, Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type { RefusalEvent } from "./core/event.ts";
import { Fault } from "./core/fault.ts";
import type { TenantId } from "./core/ids.ts";
import { isRefusal, type Refusal, refuse } from "./core/refusal.ts";
import type { Caller } from "./identity/caller.ts";
import { localCaller } from "./identity/local-caller.ts";
import { type LocalRequest, type LocalRequestRooms, serveLocally, unservable } from "./local-request.ts";
import { LocalSession, type LocalSessionRooms } from "./local-session.ts";
import { lackedPermission } from "./operate.ts";
import type { PipelineRooms } from "./pipeline.ts";
import type { ChangeStreams } from "./protocol/change-streams.ts";
import {
  type ClientBody,
  type ClientMessage,
  errorResponse,
  member,
  parseBody,
  type RequestId,
} from "./protocol/json-rpc.ts";
import type { ListenOperation } from "./protocol/listen-operation.ts";
import type { ListenWords } from "./protocol/listen-words.ts";
import type { McpRequest } from "./protocol/mcp-request.ts";
import type { Work } from "./protocol/open-work.ts";
import type { Revision } from "./protocol/revisions.ts";
import { LineOutlet, SESSION_WORDS } from "./protocol/stdio/line-outlet.ts";
import { LineReader } from "./protocol/stdio/line-reader.ts";
import { LineReply, MemberReply } from "./protocol/stdio/line-reply.ts";
import { LineWriter } from "./protocol/stdio/line-writer.ts";
import { offeredLists } from "./protocol/subscription-filter.ts";
import type { TenantName } from "./tenancy/tenant-record.ts";
import type { TenantSnapshot } from "./tenancy/tenant-snapshot.ts";

/** What a connection is made of. */
export interface LocalRooms
  extends LocalRequestRooms,
    LocalSessionRooms,
    Pick<PipelineRooms, "clock" | "emit" | "maxBodyBytes"> {
  readonly listening: Pick<ListenOperation<Caller>, "openOn">;
  readonly streams: Pick<ChangeStreams, "open">;
  /** What somebody may do of whom nothing is said. */
  readonly permissionsOf: (snapshot: TenantSnapshot, subject: string) => readonly string[];
}

/** Who is at the other end: whoever can make a connection is trusted. */
export interface LocalClient {
  readonly tenant: TenantName;
  /** Of the tenant's user that the client acts for. */
  readonly subject: string;
  /** Null: in development those of the tenant's demonstration user of this subject; otherwise all that the catalog requires. */
  readonly permissions: readonly string[] | null;
  /** Messages, a line each (MCP, stdio). */
  readonly input: Readable;
  readonly output: Writable;
}

export interface LocalConnection {
  /** Resolves when it is over: null where the client has ended it, or reads no more; else why the server has. */
  readonly ended: Promise<Refusal | null>;
  /** Ends it, and what runs for it. Resolves when all of that is written. */
  close(): Promise<void>;
}

/** Requests of one client that run at once, and their bytes: beyond it they are refused, not held. */
const MAX_IN_FLIGHT = { requests: 1_000, bytes: 64 * 1_048_576 } as const;
/** What a client is told to wait that has as much under way, in milliseconds. */
const RETRY_MS = 1_000;
/** What runs when the client has said its last word has this long to end, in milliseconds: clients wait 2 s for the process. */
const GRACE_MS = 500;
/** Longest wait for what was told to end, in milliseconds. */
const END_MS = 1_000;

/** @throws Fault `tenant_not_found`, `tenant_suspended` or `placement_elsewhere`. */
export async function openLocalConnection(rooms: LocalRooms, client: LocalClient): Promise<LocalConnection> {
  const snapshot = await rooms.directory.byName(client.tenant);
  if (snapshot === null) throw new Fault("tenant_not_found", { detail: `It was called ${client.tenant}.` });
  const refusal = unservable(rooms.role, snapshot);
  if (refusal !== null) throw new Fault(refusal.code, { detail: `It is ${client.tenant}.` });
  const connection = new LineConnection(rooms, client, snapshot);
  connection.begin();
  return connection;
}

type SingleMessage = Exclude<ClientBody, { readonly kind: "batch" }>;

class LineConnection implements LocalConnection {
  readonly ended: Promise<Refusal | null>;
  readonly #rooms: LocalRooms;
  readonly #client: LocalClient;
  readonly #tenantId: TenantId;
  readonly #reader: LineReader;
  readonly #writer: LineWriter;
  readonly #session: LocalSession;
  /** The connection itself: it ends when the tenant does. */
  readonly #work: Work;
  /** What can be cancelled, by the id that a cancellation names. */
  readonly #inFlight = new Map<RequestId, LineReply>();
  readonly #running = new Set<Promise<void>>();
  /** Open streams of changes, by the same ids. */
  readonly #listening = new Map<RequestId, LineOutlet>();
  /** Ends the stream of the session, where there is one. */
  #endChanges: () => void = () => {};
  #bytesInFlight = 0;
  #caller: Caller;
  #ending: Promise<void> | null = null;
  #resolve: (why: Refusal | null) => void = () => {};

  constructor(rooms: LocalRooms, client: LocalClient, snapshot: TenantSnapshot) {
    this.#rooms = rooms;
    this.#client = client;
    this.#tenantId = snapshot.id;
    this.#caller = this.#makeCaller(snapshot);
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#writer = new LineWriter(client.output, () => this.#stalled());
    this.#reader = new LineReader({
      limit: () => this.#caller.snapshot.limits.maxRequestBytes ?? rooms.maxBodyBytes,
      onLine: (line) => this.#take(line),
      onTooLong: (limit) => this.#refuse(refuse("body_too_large", { data: { limit } })),
    });
    this.#session = new LocalSession(rooms, (caller) => this.#tellChanges(caller));
    this.#work = rooms.openWork.begin(this.#caller);
  }

  begin(): void {
    const { input, output } = this.#client;
    this.#work.onEnd((why) => void this.#serviceEnds(why));
    input.on("data", this.#onData);
    input.once("end", () => {
      this.#reader.end();
      void this.#end(null, GRACE_MS);
    });
    // Destroyed without an end: nothing follows, and nobody would say so. After its end this changes nothing.
    input.once("close", () => void this.#end(null, GRACE_MS));
    // Whoever is gone does not read what would be answered.
    for (const stream of [input, output]) stream.on("error", () => void this.#end(null, 0));
    output.once("close", () => void this.#end(null, 0));
  }

  close(): Promise<void> {
    return this.#end(null, 0);
  }

  // ---- messages ------------------------------------------------------------------------------------------------------

  readonly #onData = (chunk: Buffer): void => this.#reader.push(chunk);

  #take(line: Buffer): void {
    const body = parseBody(line);
    if (isRefusal(body)) this.#refuse(body);
    else if (body.kind === "batch") this.#run(this.#takeBatch(body.members, line.length));
    else this.#takeMessage(body, line.length);
  }

  #takeMessage(body: SingleMessage, bytesIn: number): void {
    if (body.kind === "response") this.#run(this.#session.take(body));
    else if (body.id === undefined) this.#takeNotification(body);
    else this.#run(this.#serve({ ...body, id: body.id }, bytesIn, new LineReply(this.#writer)));
  }

  #takeNotification({ method, params }: ClientMessage): void {
    if (method !== "notifications/cancelled") return;
    const id = member(params, "requestId");
    if (typeof id !== "string" && typeof id !== "number") return;
    this.#inFlight.get(id)?.cancel();
    this.#listening.get(id)?.destroy();
  }

  /** Each member for itself, and one answer for all of them, where the session's revision has batches. */
  async #takeBatch(members: readonly (SingleMessage | Refusal)[], bytesIn: number): Promise<void> {
    const session = await this.#session.current();
    if (session === null || isRefusal(session) || session.revision !== "2025-03-26") {
      this.#refuse(refuse("message_invalid", { detail: "This revision has no batches." }));
      return;
    }
    const replies: MemberReply[] = [];
    const served: Promise<void>[] = [];
    const share = Math.ceil(bytesIn / members.length);
    for (const each of members) {
      if (!isRefusal(each) && (each.kind === "response" || each.id === undefined)) {
        this.#takeMessage(each, share);
        continue;
      }
      const reply = new MemberReply(this.#writer);
      replies.push(reply);
      if (isRefusal(each)) this.#refuse(each, { reply });
      else if (each.id !== undefined) served.push(this.#serve({ ...each, id: each.id }, share, reply));
    }
    await Promise.all(served);
    const texts = replies.flatMap(({ text }) => (text === null ? [] : [text]));
    if (texts.length > 0) this.#writer.send(`[${texts.join(",")}]`);
  }

  async #serve(message: LocalRequest["message"], bytesIn: number, reply: LineReply): Promise<void> {
    const { id } = message;
    if (this.#inFlight.has(id) || this.#listening.has(id)) {
      // With the id, this would be taken for the answer to the other.
      this.#refuse(refuse("message_invalid", { detail: "A request with this id is under way." }), { reply });
      return;
    }
    if (
      this.#inFlight.size >= MAX_IN_FLIGHT.requests ||
      this.#bytesInFlight + bytesIn > MAX_IN_FLIGHT.bytes
    ) {
      const over = refuse("rate_limited", { retryAfterMs: RETRY_MS, data: { limit: "requestsUnderWay" } });
      this.#refuse(over, { reply, id, stage: "admit" });
      return;
    }
    this.#inFlight.set(id, reply);
    this.#bytesInFlight += bytesIn;
    try {
      const refused = await serveLocally(this.#rooms, {
        message,
        bytesIn,
        reply,
        tenantId: this.#tenantId,
        session: this.#session,
        callerUnder: (snapshot) => this.#callerUnder(snapshot),
        listen: (request, of) => this.#listen(request, { ...of, reply }),
      });
      if (refused !== null) this.#refuse(refused.refusal, { ...refused, reply, id });
    } catch (cause) {
      const { clock, emit } = this.#rooms;
      const said = "A request over a local connection failed outside its operation.";
      emit({ type: "fault", at: clock.now(), level: "error", where: "request", message: said, cause });
      const isTransient = cause instanceof Fault && cause.code === "database_unavailable";
      const refusal = isTransient ? refuse(cause.code, { retryAfterMs: RETRY_MS }) : refuse("internal");
      this.#refuse(refusal, { reply, id });
    } finally {
      this.#inFlight.delete(id);
      this.#bytesInFlight -= bytesIn;
    }
  }

  // ---- changes -------------------------------------------------------------------------------------------------------

  async #listen(
    request: McpRequest,
    of: {
      readonly caller: Caller;
      readonly work: Work;
      readonly bytesIn: number;
      readonly reply: LineReply;
    },
  ): Promise<Refusal | null> {
    const connect = (words: ListenWords): LineOutlet => {
      const outlet = new LineOutlet(this.#writer, words, () => this.#listening.delete(request.id));
      this.#listening.set(request.id, outlet);
      // It may have been cancelled while the tenant was looked up.
      if (of.reply.gone) outlet.destroy();
      return outlet;
    };
    const opened = await this.#rooms.listening.openOn(connect, request, of);
    return isRefusal(opened) ? opened : null;
  }

  /** What a session of the previous generation is told without having asked: on the one channel that there is. */
  #tellChanges(caller: Caller): void {
    const { catalog, openWork, streams } = this.#rooms;
    const outlet = new LineOutlet(this.#writer, SESSION_WORDS);
    const work = openWork.begin(caller);
    const opened = streams.open(
      {
        connect: () => outlet,
        generation: "earlier",
        lists: [...offeredLists(catalog)],
        subscriptions: async () => {
          const session = await this.#session.current();
          return session === null || isRefusal(session) ? null : session.subscriptions;
        },
        snapshot: caller.snapshot,
        grantedUnder: (snapshot) => this.#callerUnder(snapshot).principal.permissions,
        expiresAt: caller.principal.expiresAt,
      },
      work,
    );
    work.finish();
    if (isRefusal(opened)) this.#refused(opened, "admit");
    else this.#endChanges = opened.end;
  }

  #callerUnder(snapshot: TenantSnapshot): Caller {
    if (this.#caller.snapshot !== snapshot) this.#caller = this.#makeCaller(snapshot);
    return this.#caller;
  }

  #makeCaller(snapshot: TenantSnapshot): Caller {
    const { subject, permissions } = this.#client;
    const granted = permissions ?? this.#rooms.permissionsOf(snapshot, subject);
    return localCaller(snapshot, { subject, permissions: new Set(granted) });
  }

  /** Answers what did not become an operation. @param at.id absent: it could not be read, or is another's. */
  #refuse(
    refusal: Refusal,
    at: {
      readonly id?: RequestId;
      readonly reply?: LineReply;
      readonly stage?: RefusalEvent["stage"];
      readonly revision?: Revision;
    } = {},
  ): void {
    this.#refused(refusal, at.stage ?? "protocol");
    const text = errorResponse(at.id ?? null, refusal, at.revision);
    if (at.reply === undefined) this.#writer.send(text);
    else at.reply.answer(text);
  }

  #refused(refusal: Refusal, stage: RefusalEvent["stage"]): void {
    const { clock, emit } = this.#rooms;
    const { code, cause } = refusal;
    emit({
      type: "refusal",
      at: clock.now(),
      tenantId: this.#tenantId,
      stage,
      code,
      ...lackedPermission(refusal),
      cause,
    });
  }

  // ---- the end -------------------------------------------------------------------------------------------------------

  #run(work: Promise<void>): void {
    const { clock, emit } = this.#rooms;
    const message = "A message of a local connection could not be taken.";
    const settled = work
      .catch((cause: unknown) =>
        emit({ type: "fault", at: clock.now(), level: "error", where: "request", message, cause }),
      )
      .finally(() => this.#running.delete(settled));
    this.#running.add(settled);
  }

  /** The tenant is not served any more: what runs was told so, and is answered before the end. */
  async #serviceEnds(why: Refusal): Promise<void> {
    const snapshot = await Promise.resolve(this.#rooms.directory.byId(this.#tenantId)).catch(() => undefined);
    const reason =
      snapshot === null
        ? refuse("tenant_not_found")
        : snapshot === undefined
          ? why
          : (unservable(this.#rooms.role, snapshot) ?? why);
    await this.#end(reason, END_MS);
  }

  #stalled(): void {
    const { clock, emit } = this.#rooms;
    const message = "The client of a local connection has stopped reading: the connection ends.";
    emit({
      type: "fault",
      at: clock.now(),
      level: "warn",
      where: "request",
      tenantId: this.#tenantId,
      message,
    });
    void this.#end(null, 0);
  }

  /** @param graceMs how long what runs may go on before it is cancelled. */
  #end(why: Refusal | null, graceMs: number): Promise<void> {
    if (this.#ending !== null) {
      if (graceMs === 0) this.#cancelAll();
      return this.#ending;
    }
    const { input } = this.#client;
    input.off("data", this.#onData);
    input.pause();
    this.#ending = (async () => {
      if (graceMs > 0) await this.#settled(graceMs);
      this.#cancelAll();
      for (const outlet of this.#listening.values()) outlet.end();
      this.#endChanges();
      await this.#settled(END_MS);
      // A session that stays is removed with the others that nobody uses.
      await this.#session.end().catch(() => {});
      this.#work.finish();
      this.#resolve(why);
    })();
    return this.#ending;
  }

  #cancelAll(): void {
    for (const reply of this.#inFlight.values()) reply.cancel();
  }

  /** Resolves when nothing runs any more, or at the end of that time. */
  async #settled(withinMs: number): Promise<void> {
    const over = new AbortController();
    const timer = delay(withinMs, undefined, { signal: over.signal }).catch(() => {});
    while (this.#running.size > 0) {
      const all = Promise.all(this.#running).then(() => true);
      if ((await Promise.race([all, timer.then(() => false)])) === false) break;
    }
    over.abort();
  }
}
