import { after, type Eventually } from "../../core/eventually.ts";
import type { TenantId } from "../../core/ids.ts";
import type { RequestId } from "../json-rpc.ts";
import type { Session } from "../session.ts";

/** What requests are kept by: an id alone is another client's as well. */
export interface OfSession {
  readonly tenantId: TenantId;
  readonly id: string;
}

/** A request that runs, as far as it can be stopped. */
export interface Cancellable {
  /** Nobody wants its answer: it ends without one. */
  cancel(): void;
}

/** The requests of sessions that run on this instance. Bounded by the tenants' limits of operations in flight. */
export interface RunningRequests {
  /** Gives back what takes it out again. */
  add(session: Session, id: RequestId, request: Cancellable): () => void;
  /** False: no such request of this session runs here. */
  cancel(session: OfSession, id: RequestId): boolean;
  cancelAll(session: OfSession): void;
  /**
   * Cancels what runs in sessions that are gone: nothing promises that their end was heard of. To be called every few
   * seconds. Looks at sessions in which something ran at the last call as well, so that short requests cost nothing.
   *
   * @throws what a session could not be looked at with; the others were.
   */
  sweep(isThere: (session: Session) => Eventually<boolean>): Promise<void>;
}

interface OfOne {
  readonly session: Session;
  readonly byId: Map<RequestId, Set<Cancellable>>;
  swept: boolean;
}

export function createRunningRequests(): RunningRequests {
  const bySession = new Map<string, OfOne>();
  const cancelAll = (session: OfSession): void => {
    const requests = [...(bySession.get(keyOf(session))?.byId.values() ?? [])];
    for (const ofId of requests) for (const request of [...ofId]) request.cancel();
  };
  return {
    add(session, id, request) {
      const key = keyOf(session);
      const found = bySession.get(key);
      const ofSession: OfOne = found ?? { session, byId: new Map(), swept: false };
      if (found === undefined) bySession.set(key, ofSession);
      const { byId } = ofSession;
      // "The request ID MUST NOT have been previously used": a client that does so anyhow means all of them.
      const ofId = byId.get(id) ?? new Set();
      byId.set(id, ofId);
      ofId.add(request);
      return () => {
        if (ofId.delete(request) && ofId.size === 0) byId.delete(id);
        if (byId.size === 0 && bySession.get(key) === ofSession) bySession.delete(key);
      };
    },
    cancel(session, id) {
      const requests = bySession.get(keyOf(session))?.byId.get(id);
      if (requests === undefined) return false;
      for (const request of [...requests]) request.cancel();
      return true;
    },
    cancelAll,
    async sweep(isThere) {
      const looked: Eventually<void>[] = [];
      for (const ofSession of bySession.values()) {
        const { session, swept } = ofSession;
        ofSession.swept = true;
        if (swept) looked.push(after(isThere(session), (there) => void (there || cancelAll(session))));
      }
      await Promise.all(looked);
    },
  };
}

function keyOf({ tenantId, id }: OfSession): string {
  return `${tenantId}/${id}`;
}
