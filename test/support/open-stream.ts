import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { mcpMessage } from "./mcp-request.ts";

/** A stream of server-sent events as a client reads it. */
export interface TestStream {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  /** All that came so far, to the byte. */
  readonly text: () => string;
  /** Data of the events so far, parsed. */
  // biome-ignore lint/suspicious/noExplicitAny: tests read whatever the wire has, and assert what it must be.
  readonly messages: () => any[];
  /** `end`: the server ended the response. `cut`: the connection broke before. */
  readonly closed: Promise<"end" | "cut">;
  readonly isOpen: () => boolean;
  /** Reads no more, and keeps the connection. */
  stopReading(): void;
  /** Reads on after that. */
  readOn(): void;
  /** Hangs up. */
  destroy(): void;
}

/** Opens a `subscriptions/listen` stream of revision 2026-07-28. */
export function listen(
  url: string,
  token: string,
  notifications: unknown,
  options: {
    readonly id?: string | number;
    readonly headers?: Record<string, string>;
    /** Of the client; default none. */
    readonly capabilities?: object;
  } = {},
): Promise<TestStream> {
  const { headers, body } = mcpMessage(token, "subscriptions/listen", { notifications });
  const message = JSON.parse(body);
  message.id = options.id ?? 1;
  message.params._meta["io.modelcontextprotocol/clientCapabilities"] = options.capabilities ?? {};
  return readStream(
    httpRequest(url, { method: "POST", agent: false, headers: { ...headers, ...options.headers } }),
    JSON.stringify(message),
  );
}

/** Sends a request, and resolves when its answer begins. */
export function readStream(req: ClientRequest, body?: string): Promise<TestStream> {
  return new Promise((resolve, reject) => {
    req.on("error", reject);
    req.on("response", (res) => {
      let text = "";
      let open = true;
      res.setEncoding("utf8");
      res.on("data", (part: string) => {
        text += part;
      });
      res.on("error", () => {});
      const closed = new Promise<"end" | "cut">((done) => {
        res.on("close", () => {
          open = false;
          done(res.complete ? "end" : "cut");
        });
      });
      resolve({
        status: res.statusCode ?? 0,
        headers: res.headers,
        text: () => text,
        messages: () =>
          text
            .split("\n\n")
            .filter((event) => event.startsWith("data: "))
            .map((event) => JSON.parse(event.slice("data: ".length))),
        closed,
        isOpen: () => open,
        stopReading: () => res.pause(),
        readOn: () => res.resume(),
        destroy: () => res.destroy(),
      });
    });
    req.end(body);
  });
}
