import type { JsonObject, RequestId } from "../json-rpc.ts";
import type { OfSession } from "./running-requests.ts";

/** What a client says to a request of the server: one of the two is there. */
export interface ClientAnswer {
  readonly result: JsonObject | null;
  readonly error: JsonObject | null;
}

/** A question that a client was asked and has not answered. */
export interface AwaitedAnswer {
  /** Names the question: unique on all instances, so that whichever of them gets the answer knows whose it is. */
  readonly requestId: string;
  readonly answer: Promise<ClientAnswer>;
  /** Nobody waits any more. */
  forget(): void;
}

/** Questions to clients that somebody on this instance waits for. */
export interface ClientAnswers {
  expect(session: OfSession): AwaitedAnswer;
  /** False: nobody here waits for it, or not from this session. */
  take(session: OfSession, requestId: RequestId, answer: ClientAnswer): boolean;
  /**
   * Whether any instance could be waiting for it: what has another form is no answer to a question of ours. The form can be
   * invented: each time counts as a request, and costs every other instance less than one. A signature would not change
   * that, since who was asked once could send that id again and again.
   */
  isOurs(requestId: RequestId): requestId is string;
}

const FORM = /^ask_[A-Za-z0-9_-]{16}$/;

export function createClientAnswers(random: (bytes: number) => Uint8Array): ClientAnswers {
  // Each is of an operation in flight, which waits no longer than it may.
  const awaited = new Map<string, (answer: ClientAnswer) => void>();
  return {
    expect(session) {
      const requestId = `ask_${Buffer.from(random(12)).toString("base64url")}`;
      const key = keyOf(session, requestId);
      return {
        requestId,
        answer: new Promise((resolve) => {
          awaited.set(key, resolve);
        }),
        forget: () => {
          awaited.delete(key);
        },
      };
    },
    take(session, requestId, answer) {
      const key = keyOf(session, requestId);
      const resolve = awaited.get(key);
      if (resolve === undefined) return false;
      // The first answer counts.
      awaited.delete(key);
      resolve(answer);
      return true;
    },
    isOurs: (requestId): requestId is string => typeof requestId === "string" && FORM.test(requestId),
  };
}

function keyOf({ tenantId, id }: OfSession, requestId: RequestId): string {
  return `${tenantId}/${id}/${requestId}`;
}
