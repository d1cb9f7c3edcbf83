import { request as httpRequest } from "node:http";

/** An answer over HTTP, its body parsed where it is JSON. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests read whatever the wire has, and assert what it must be.
  readonly json: any;
}

export const VERSION = "2026-07-28";
export const META = {
  "io.modelcontextprotocol/protocolVersion": VERSION,
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
  "io.modelcontextprotocol/clientCapabilities": {},
};

/** Sends bytes as they are: for requests that no client would send. */
export function send(
  url: string,
  options: {
    readonly method?: string;
    readonly headers?: Record<string, string | string[]>;
    readonly body?: string | Uint8Array;
    readonly signal?: AbortSignal;
  },
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const req = httpRequest(
      url,
      {
        method: options.method ?? "POST",
        headers: options.headers ?? {},
        agent: false,
        ...(options.signal ? { signal: options.signal } : {}),
      },
      (res) => {
        const chunks: Buffer[] = [];
        res.on("data", (chunk: Buffer) => chunks.push(chunk));
        res.on("error", reject);
        res.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          let json: unknown;
          try {
            json = JSON.parse(text);
          } catch {
            json = undefined;
          }
          resolve({ status: res.statusCode ?? 0, headers: res.headers, text, json });
        });
      },
    );
    req.on("error", reject);
    req.end(options.body);
  });
}

/** The headers and body of a well-formed request of revision 2026-07-28. */
export function mcpMessage(
  token: string | null,
  method: string,
  params: Record<string, unknown> = {},
): { headers: Record<string, string>; body: string } {
  const name = params.name ?? params.uri;
  return {
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": VERSION,
      "mcp-method": method,
      ...(typeof name === "string" ? { "mcp-name": name } : {}),
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { ...params, _meta: META } }),
  };
}

/** Sends a well-formed request. */
export function mcp(
  url: string,
  token: string | null,
  method: string,
  params: Record<string, unknown> = {},
): Promise<HttpAnswer> {
  return send(url, mcpMessage(token, method, params));
}

export function callTool(
  url: string,
  token: string,
  name: string,
  args: Record<string, unknown> = {},
): Promise<HttpAnswer> {
  return mcp(url, token, "tools/call", { name, arguments: args });
}
