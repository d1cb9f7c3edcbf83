import { parseSessionId, parseTaskId, type SessionId, type TaskId, type TenantId } from "./ids.ts";

/** What instances tell each other, by topic: the whole list. An instance of another version may know more or fewer. */
export interface SignalPayloads {
  /** What a tenant's clients can list is another than before. */
  readonly list_changed: { readonly list: "tools" | "prompts" | "resources" };
  readonly resource_updated: { readonly uri: string };
  readonly session_ended: { readonly sessionId: SessionId };
  /** Its log level or its subscriptions. */
  readonly session_changed: { readonly sessionId: SessionId };
  /** A standalone stream of the session was opened: the one before it closes. */
  readonly stream_opened: { readonly sessionId: SessionId; readonly streamId: string };
  /** The client came back for a stream that answers a POST: whoever reads it elsewhere is not its reader any more. */
  readonly stream_resumed: { readonly sessionId: SessionId; readonly streamId: string };
  /** The log of the stream goes to `seq` now. */
  readonly stream_written: {
    readonly sessionId: SessionId;
    readonly streamId: string;
    readonly seq: number;
  };
  /** A client's response to a request of the server: to whoever waits for it. */
  readonly client_answer: {
    readonly sessionId: SessionId;
    readonly requestId: string;
    readonly message: Readonly<Record<string, unknown>>;
  };
  readonly client_cancelled: { readonly sessionId: SessionId; readonly requestId: string | number };
  readonly task_changed: { readonly taskId: TaskId };
  /** Answers for a call that is parked on the instance that owns it … */
  readonly call_resumed: {
    readonly callId: string;
    readonly principal: string;
    /** What the caller may do by the credential of this request. */
    readonly rights: SignalledRights;
    readonly responses: Readonly<Record<string, unknown>>;
  };
  /** … and what that instance says to them. */
  readonly call_answered: { readonly callId: string; readonly round: number; readonly text: string };
}

/** What a credential gives its bearer, and until when in milliseconds since 1970. */
export interface SignalledRights {
  readonly permissions: readonly string[];
  readonly roles: readonly string[];
  readonly expiresAt: number;
}

export type SignalTopic = keyof SignalPayloads;

/** Something that concerns one tenant, told to all instances. */
export type Signal<Topic extends SignalTopic = SignalTopic> = {
  readonly [T in Topic]: {
    readonly tenantId: TenantId;
    readonly topic: T;
    readonly payload: SignalPayloads[T];
  };
}[Topic];

export function isOfTopic<T extends SignalTopic>(signal: Signal, topic: T): signal is Signal & Signal<T> {
  return signal.topic === topic;
}

/** A signal as it was written; null where this version cannot read it, as one of a later version's. */
export function parseSignal(written: {
  readonly tenantId: TenantId;
  readonly topic: string;
  readonly payload: string;
}): Signal | null {
  const { tenantId, topic } = written;
  const given = parseObject(written.payload);
  if (given === null) return null;
  const signal = <T extends SignalTopic>(of: T, payload: SignalPayloads[T] | null) =>
    payload === null ? null : { tenantId, topic: of, payload };
  const sessionId = typeof given.sessionId === "string" ? parseSessionId(given.sessionId) : null;
  switch (topic) {
    case "list_changed": {
      const { list } = given;
      return signal(topic, list === "tools" || list === "prompts" || list === "resources" ? { list } : null);
    }
    case "resource_updated":
      return signal(topic, typeof given.uri === "string" ? { uri: given.uri } : null);
    case "session_ended":
    case "session_changed":
      return signal(topic, sessionId === null ? null : { sessionId });
    case "stream_opened":
    case "stream_resumed": {
      const { streamId } = given;
      return signal(
        topic,
        sessionId === null || typeof streamId !== "string" ? null : { sessionId, streamId },
      );
    }
    case "stream_written": {
      const { streamId, seq } = given;
      const whole = sessionId !== null && typeof streamId === "string" && typeof seq === "number";
      return signal(topic, whole ? { sessionId, streamId, seq } : null);
    }
    case "client_answer": {
      const { requestId, message } = given;
      const whole = sessionId !== null && typeof requestId === "string" && isObject(message);
      return signal(topic, whole ? { sessionId, requestId, message } : null);
    }
    case "client_cancelled": {
      const { requestId } = given;
      const whole = sessionId !== null && (typeof requestId === "string" || typeof requestId === "number");
      return signal(topic, whole ? { sessionId, requestId } : null);
    }
    case "task_changed": {
      const taskId = typeof given.taskId === "string" ? parseTaskId(given.taskId) : null;
      return signal(topic, taskId === null ? null : { taskId });
    }
    case "call_resumed": {
      const { callId, principal, rights, responses } = given;
      const whole =
        typeof callId === "string" &&
        typeof principal === "string" &&
        isRights(rights) &&
        isObject(responses);
      return signal(topic, whole ? { callId, principal, rights, responses } : null);
    }
    case "call_answered": {
      const { callId, round, text } = given;
      const whole = typeof callId === "string" && typeof round === "number" && typeof text === "string";
      return signal(topic, whole ? { callId, round, text } : null);
    }
    default:
      return null;
  }
}

function isRights(value: unknown): value is SignalledRights {
  return (
    isObject(value) &&
    isTexts(value.permissions) &&
    isTexts(value.roles) &&
    typeof value.expiresAt === "number"
  );
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}

function parseObject(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
