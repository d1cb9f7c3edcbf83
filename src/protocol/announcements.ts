import { AsyncLocalStorage } from "node:async_hooks";
import type { TenantId } from "../core/ids.ts";
import type { Change } from "../tenancy/client.ts";
import type { SignalPort } from "./signal-port.ts";

/** Changes that code tells of: to a tenant's open streams, here at once and on every other instance by signal. */
export interface Announcements {
  /**
   * The first of a while is told at once. What follows within 50 ms is told together after them, each change once. Of a
   * tenant at most 20 different changes are told in 50 ms; up to 1,000 wait for that, and what is beyond is lost, and
   * told to the operator.
   *
   * @throws TypeError for what is no change: a list that there is none of, or a URI that cannot be one.
   */
  announce(tenantId: TenantId, change: Change): void;
  close(): void;
}

/** Time between two notifications of the same change, in milliseconds. */
const PAUSE_MS = 50;
/** The same where the last could not be told. */
const RETRY_MS = 500;
/** Different changes that are told together: 400 in a second, also to the other instances. */
const MAX_TOGETHER = 20;
/** Different changes that wait. */
const MAX_WAITING = 1_000;
/** As long as what a session can subscribe to. */
const MAX_URI = 2_048;

interface Waiting {
  readonly change: Change;
  /** Not told to other instances yet: it was announced here. */
  readonly own: boolean;
}

/** The changes of one tenant that wait, by what they say. */
interface Turn {
  readonly waiting: Map<string, Waiting>;
  full: boolean;
  timer: NodeJS.Timeout | null;
}

export function createAnnouncements(options: {
  readonly signals: SignalPort;
  /** Whether a tenant has streams on this instance. */
  readonly listened: (tenantId: TenantId) => boolean;
  /** Tells this instance's streams. */
  readonly tell: (tenantId: TenantId, changes: readonly Change[]) => Promise<void>;
  readonly onFault: (message: string, cause: unknown) => void;
}): Announcements {
  const { signals, listened, tell, onFault } = options;
  // What a handler announces is told outside its context, which timers and connections would keep.
  const outside = AsyncLocalStorage.snapshot();
  // Of tenants that announced something within the last tenths of a second.
  const turns = new Map<TenantId, Turn>();
  let closed = false;
  let failing = false;

  const add = (tenantId: TenantId, each: Waiting): void => {
    if (closed) return;
    const turn = turns.get(tenantId);
    if (turn === undefined) {
      const first: Turn = { waiting: new Map(), full: false, timer: null };
      turns.set(tenantId, first);
      tellTogether(tenantId, first, [each]);
      return;
    }
    const key = keyOf(each.change);
    const known = turn.waiting.get(key);
    if (known !== undefined) {
      if (each.own && !known.own) turn.waiting.set(key, each);
    } else if (turn.waiting.size < MAX_WAITING) turn.waiting.set(key, each);
    else if (!turn.full) {
      turn.full = true;
      onFault(`The tenant ${tenantId} announces more changes than are told: some are lost.`, null);
    }
  };

  const tellTogether = (tenantId: TenantId, turn: Turn, together: readonly Waiting[]): void => {
    for (const { change, own } of together) if (own) publish(tenantId, change);
    const goOn = (afterMs: number): void => {
      if (closed) return;
      turn.timer = setTimeout(() => {
        if (turn.waiting.size === 0) turns.delete(tenantId);
        else tellTogether(tenantId, turn, take(turn));
      }, afterMs);
      turn.timer.unref();
    };
    tell(
      tenantId,
      together.map(({ change }) => change),
    ).then(
      () => {
        failing = false;
        goOn(PAUSE_MS);
      },
      (cause: unknown) => {
        // Once of a row of failures: they have one cause, of all tenants.
        if (!failing) onFault("Changes could not be told; they are tried again.", cause);
        failing = true;
        for (const { change } of together) add(tenantId, { change, own: false });
        goOn(RETRY_MS);
      },
    );
  };

  const publish = (tenantId: TenantId, change: Change): void => {
    if (typeof change === "string")
      signals.publish({ tenantId, topic: "list_changed", payload: { list: change } });
    else signals.publish({ tenantId, topic: "resource_updated", payload: { uri: change.resource } });
  };

  const heard = (tenantId: TenantId, change: Change): void => {
    if (listened(tenantId)) add(tenantId, { change, own: false });
  };
  const unsubscribe = [
    signals.subscribe("list_changed", ({ tenantId, payload }) => heard(tenantId, payload.list)),
    signals.subscribe("resource_updated", ({ tenantId, payload }) =>
      heard(tenantId, { resource: payload.uri }),
    ),
  ];

  return {
    announce(tenantId, change) {
      const checked = checkChange(change);
      outside(() => add(tenantId, { change: checked, own: true }));
    },
    close() {
      closed = true;
      for (const each of unsubscribe) each();
      for (const { timer } of turns.values()) if (timer !== null) clearTimeout(timer);
    },
  };
}

function take(turn: Turn): Waiting[] {
  const together: Waiting[] = [];
  for (const [key, each] of turn.waiting) {
    if (together.length === MAX_TOGETHER) break;
    turn.waiting.delete(key);
    together.push(each);
  }
  turn.full = false;
  return together;
}

/** Lists and URIs apart: a URI has a colon, but nobody sees to that. */
function keyOf(change: Change): string {
  return typeof change === "string" ? change : `uri ${change.resource}`;
}

/** Handlers without types give whatever they give. A copy: what they change afterwards is not what they announced. */
function checkChange(change: Change): Change {
  if (change === "tools" || change === "prompts" || change === "resources") return change;
  const uri: unknown = typeof change === "object" && change !== null ? change.resource : null;
  if (typeof uri !== "string" || uri.length > MAX_URI || uri.includes("\0") || !uri.isWellFormed())
    throw new TypeError(
      `A change is "tools", "prompts", "resources" or { resource: uri }, of ${MAX_URI} characters at most.`,
    );
  return { resource: uri };
}
