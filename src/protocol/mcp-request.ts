import type { IncomingHttpHeaders } from "node:http";
import type { MessageLevel, TraceContext } from "../tenancy/client.ts";
import type { ClientDescription } from "./client-description.ts";
import type { JsonObject, RequestId } from "./json-rpc.ts";
import type { Revision } from "./revisions.ts";
import type { Session } from "./session.ts";

/** Every method of a client that is an operation here, in one generation or both. */
export const METHODS = [
  "server/discover",
  "ping",
  "tools/list",
  "tools/call",
  "resources/list",
  "resources/templates/list",
  "resources/read",
  "resources/subscribe",
  "resources/unsubscribe",
  "prompts/list",
  "prompts/get",
  "completion/complete",
  "logging/setLevel",
  "subscriptions/listen",
  "tasks/get",
  "tasks/update",
  "tasks/cancel",
] as const;
export type Method = (typeof METHODS)[number];

/** A request of either generation whose envelope is right: what an operation begins with. */
export interface McpRequest {
  readonly id: RequestId;
  readonly method: Method;
  readonly params: JsonObject;
  /** `params.name` or `params.uri` of the methods that have one. */
  readonly name: string | null;
  readonly revision: Revision;
  readonly client: ClientDescription;
  /** Least severe messages that the client wants about this request; null: none. */
  readonly logLevel: MessageLevel | null;
  /** With which it wants to hear how far this is; null: it does not. */
  readonly progressToken: RequestId | null;
  readonly trace: TraceContext | null;
  /**
   * Headers that mirror arguments (`mcp-param-…`), and no others: a request may be kept, credentials may not. Null where
   * there are none to compare: earlier revisions, stdio.
   */
  readonly headers: IncomingHttpHeaders | null;
  /** Null on the current revision. */
  readonly session: Session | null;
}
