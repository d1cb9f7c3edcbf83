import type { ServerResponse } from "node:http";

/** Bytes that may wait for a reader. Past it the reader has stopped reading: at the next message its connection is dropped. */
const MAX_WAITING = 262_144;

/** Server-sent events as the answer to one request (HTML Standard, "Server-sent events"; MCP, Streamable HTTP). */
export class EventStream {
  readonly #res: ServerResponse;

  /** Writes the head. What goes wrong from here on shows as the end of the response. */
  constructor(res: ServerResponse) {
    this.#res = res;
    res.writeHead(200, {
      "content-type": "text/event-stream",
      // A proxy that compresses would gather events before it lets them go (RFC 9111 section 5.2.2.6).
      "cache-control": "no-store, no-transform",
      // The same of proxies that buffer ("Receiving Messages").
      "x-accel-buffering": "no",
    });
  }

  /** Sends one message, given as JSON, which has no line break. Gives the bytes written; 0 where the stream is over. */
  message(json: string): number {
    return this.#write(`data: ${json}\n\n`);
  }

  /** Sends one message with the id from which its reader can go on. */
  event(id: string, json: string): number {
    return this.#write(`id: ${id}\ndata: ${json}\n\n`);
  }

  /** Sends an id to come back with before there is a message (2025-11-25, "Sending Messages to the Server"). */
  prime(id: string, retryMs: number): void {
    this.#write(`id: ${id}\nretry: ${retryMs}\ndata: \n\n`);
  }

  /** Says how long a reader shall wait before it comes back. */
  retry(retryMs: number): void {
    this.#write(`retry: ${retryMs}\n\n`);
  }

  /** Ends the response without another message. */
  close(): void {
    if (!this.#over()) this.#res.end();
  }

  /** A line that readers skip: it keeps proxies from taking the silence for the end. */
  keepAlive(): void {
    this.#write(":\n\n");
  }

  /** Sends a last message, and no more. The response closes when the reader has it. */
  end(json: string): void {
    if (!this.#over()) this.#res.end(`data: ${json}\n\n`);
  }

  /** Drops the connection. */
  destroy(): void {
    this.#res.destroy();
  }

  #write(text: string): number {
    if (this.#over()) return 0;
    // Looked at beforehand: one message may be larger, and its reader no slower than others.
    if (this.#res.writableLength > MAX_WAITING) {
      this.#res.destroy();
      return 0;
    }
    this.#res.write(text);
    return Buffer.byteLength(text);
  }

  #over(): boolean {
    return this.#res.writableEnded || this.#res.destroyed;
  }
}

/** Whether `Accept` allows server-sent events (RFC 9110 section 12.5.1): without one, anything is. */
export function takesEvents(accept: string | undefined): boolean {
  return accept === undefined || /(^|[\s,])(text\/(event-stream|\*)|\*\/\*)(?=[\s,;]|$)/i.test(accept);
}
