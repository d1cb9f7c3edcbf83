import type { SchemaLike, Validated } from "../core/schema.ts";

/**
 * What a client can do for a handler that asks it: what it declared, of this request on 2026-07-28 and of its session
 * before. `elicitation.form` is what a client has that says no more than `elicitation: {}`.
 */
export type ClientAbility =
  | "elicitation.form"
  | "elicitation.url"
  | "sampling"
  | "sampling.tools"
  | "sampling.context"
  | "roots"
  | "tasks";

/** The program that calls, as it described itself: nothing of it is verified. */
export interface Client {
  /** Null where it did not say. */
  readonly name: string | null;
  readonly version: string | null;
  /** The protocol revision that it speaks, for example `2026-07-28`. */
  readonly revision: string;
  can(ability: ClientAbility): boolean;
}

/** How far a call is (MCP, "Progress"). `progress` must grow from one to the next. */
export interface Progress {
  readonly progress: number;
  readonly total?: number;
  readonly message?: string;
}

/** Severities of messages to clients, from the least on (RFC 5424 section 6.2.1). */
export type MessageLevel =
  | "debug"
  | "info"
  | "notice"
  | "warning"
  | "error"
  | "critical"
  | "alert"
  | "emergency";

/**
 * What a user is asked for: a form of plain fields, or a visit to a URL that the client must not read itself
 * (MCP, "Elicitation"). A form's schema is an object of texts, numbers, booleans, choices, and lists of choices.
 */
export type ElicitRequest<S extends SchemaLike = SchemaLike> =
  | { readonly message: string; readonly schema: S }
  | { readonly message: string; readonly url: string };

/** What the user did. `content` is validated by the schema; a visit to a URL has none. */
export type ElicitAnswer<Content> =
  | { readonly action: "accept"; readonly content: Content }
  | { readonly action: "decline" | "cancel" };

/** Parameters of `sampling/createMessage` as the specification has them (client, "Sampling"). */
export interface SampleRequest {
  readonly messages: readonly {
    readonly role: "user" | "assistant";
    readonly content: Readonly<Record<string, unknown>> | readonly Readonly<Record<string, unknown>>[];
  }[];
  readonly maxTokens: number;
  readonly systemPrompt?: string;
  readonly temperature?: number;
  readonly stopSequences?: readonly string[];
  readonly modelPreferences?: Readonly<Record<string, unknown>>;
  readonly includeContext?: "none" | "thisServer" | "allServers";
  readonly tools?: readonly Readonly<Record<string, unknown>>[];
  readonly toolChoice?: Readonly<Record<string, unknown>>;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** What the client's model said. */
export interface SampleAnswer {
  readonly role: "user" | "assistant";
  readonly content: Readonly<Record<string, unknown>> | readonly Readonly<Record<string, unknown>>[];
  readonly model: string;
  readonly stopReason?: string;
}

/** A directory or file that the client works in (client, "Roots"). */
export interface Root {
  readonly uri: string;
  readonly name?: string;
}

/** A W3C trace context as the client sent it (`_meta`, "OpenTelemetry Trace Context"). */
export interface TraceContext {
  /** Version 00, checked. */
  readonly traceparent: string;
  readonly tracestate: string | null;
  readonly baggage: string | null;
}

/** What has changed, for those who are told of changes. */
export type Change = "tools" | "prompts" | "resources" | { readonly resource: string };

/** The way from a handler to the client that called it: one for each operation. */
export interface ClientLink {
  readonly client: Client;
  readonly trace: TraceContext | null;
  progress(progress: Progress): void;
  message(level: MessageLevel, data: unknown, logger: string | undefined): void;
  elicit<S extends SchemaLike>(key: string, request: ElicitRequest<S>): Promise<ElicitAnswer<Validated<S>>>;
  sample(key: string, request: SampleRequest): Promise<SampleAnswer>;
  roots(key: string): Promise<readonly Root[]>;
  step<T>(key: string, run: () => T | Promise<T>): Promise<T>;
  detach(retryMs: number | undefined): void;
}
