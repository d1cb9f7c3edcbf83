import type { EventWords } from "./event-outlet.ts";
import type { EventStream } from "./event-stream.ts";
import type { RequestId } from "./json-rpc.ts";
import { honouredFilter, type SubscriptionFilter } from "./subscription-filter.ts";

/** The messages of one `subscriptions/listen` (MCP 2026-07-28, basic, patterns, "Subscriptions"), as JSON. */
export class ListenWords implements EventWords {
  /** The id as JSON: every message of the stream carries it. */
  readonly #id: string;
  readonly #serverInfo: string;
  /** Let go when it is said: it may be long. */
  #honoured: SubscriptionFilter | null;

  /** @param of.serverInfo as JSON. */
  constructor(of: {
    readonly id: RequestId;
    readonly honoured: SubscriptionFilter;
    readonly serverInfo: string;
  }) {
    this.#id = JSON.stringify(of.id);
    this.#honoured = of.honoured;
    this.#serverInfo = of.serverInfo;
  }

  /** What is honoured: the first message, before any other. */
  acknowledgement(): string {
    const honoured = this.#honoured === null ? {} : honouredFilter(this.#honoured);
    this.#honoured = null;
    return this.notification(
      "notifications/subscriptions/acknowledged",
      `"notifications":${JSON.stringify(honoured)}`,
    );
  }

  /** @param params members of `params` as JSON, without braces; may be empty. */
  notification(method: string, params: string): string {
    return `{"jsonrpc":"2.0","method":"${method}","params":{"_meta":{${this.#meta()}}${params === "" ? "" : `,${params}`}}}`;
  }

  /**
   * The response, which ends the subscription ("Graceful Closure"). It has no member for a reason; the client's next
   * request is told it.
   */
  result(): string {
    return `{"jsonrpc":"2.0","id":${this.#id},"result":{"resultType":"complete","_meta":{${this.#meta()},"io.modelcontextprotocol/serverInfo":${this.#serverInfo}}}}`;
  }

  begin(events: EventStream): number {
    return events.message(this.acknowledgement());
  }

  notify(events: EventStream, method: string, params: string): void {
    events.message(this.notification(method, params));
  }

  end(events: EventStream): void {
    events.end(this.result());
  }

  #meta(): string {
    return `"io.modelcontextprotocol/subscriptionId":${this.#id}`;
  }
}
