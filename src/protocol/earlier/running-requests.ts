import type { TenantId } from "../../core/ids.ts";
import type { RequestId } from "../json-rpc.ts";

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
  add(session: OfSession, id: RequestId, request: Cancellable): () => void;
  /** False: no such request of this session runs here. */
  cancel(session: OfSession, id: RequestId): boolean;
  cancelAll(session: OfSession): void;
}

export function createRunningRequests(): RunningRequests {
  const bySession = new Map<string, Map<RequestId, Set<Cancellable>>>();
  return {
    add(session, id, request) {
      const key = keyOf(session);
      const ofSession = bySession.get(key) ?? new Map<RequestId, Set<Cancellable>>();
      bySession.set(key, ofSession);
      // "The request ID MUST NOT have been previously used": a client that does so anyhow means all of them.
      const ofId = ofSession.get(id) ?? new Set();
      ofSession.set(id, ofId);
      ofId.add(request);
      return () => {
        if (ofId.delete(request) && ofId.size === 0) ofSession.delete(id);
        if (ofSession.size === 0 && bySession.get(key) === ofSession) bySession.delete(key);
      };
    },
    cancel(session, id) {
      const requests = bySession.get(keyOf(session))?.get(id);
      if (requests === undefined) return false;
      for (const request of [...requests]) request.cancel();
      return true;
    },
    cancelAll(session) {
      const requests = [...(bySession.get(keyOf(session))?.values() ?? [])];
      for (const ofId of requests) for (const request of [...ofId]) request.cancel();
    },
  };
}

function keyOf({ tenantId, id }: OfSession): string {
  return `${tenantId}/${id}`;
}
