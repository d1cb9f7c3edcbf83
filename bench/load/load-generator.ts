import type { Cleanup } from "../cleanup.ts";

/** A request as it is sent. */
export interface HttpRequest {
  readonly path: string;
  /** All headers but Host and Content-Length, which the load generator adds. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface LoadOrder {
  /** `http://127.0.0.1:port`, no path. */
  readonly origin: string;
  /** Sent one after the other, again and again, each connection with one under way. */
  readonly requests: readonly HttpRequest[];
  readonly connections: number;
  readonly seconds: number;
  /** Command that runs the rest of its arguments, see cpu-placement.ts. */
  readonly prefix: readonly string[];
  /** A folder for the generator's files. */
  readonly scratch: string;
  readonly cleanup: Cleanup;
}

export interface LoadReport {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers with another status than 2xx or 3xx, and requests without an answer. */
  readonly failed: number;
}

export interface LoadGenerator {
  /** For the page: name, version, and what to know about it. */
  readonly description: string;
  run(order: LoadOrder): Promise<LoadReport>;
}
