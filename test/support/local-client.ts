import { once } from "node:events";
import { PassThrough } from "node:stream";
import { parseSlug } from "../../src/core/ids.ts";
import type { LocalConnection } from "../../src/local-connection.ts";
import type { LocalServer } from "../../src/local-server.ts";

// biome-ignore lint/suspicious/noExplicitAny: a message has whatever its method has.
export type Message = any;

/** The other end of a local connection, which sees bytes. */
export interface LocalTestClient {
  readonly connection: LocalConnection;
  readonly input: PassThrough;
  readonly output: PassThrough;
  /** Everything that was received so far. */
  readonly received: readonly Message[];
  /** Sends a message as a line; text as it is. */
  send(message: Message | string): void;
  /** The first message, received already or later, for which this holds. */
  until(holds: (message: Message) => boolean): Promise<Message>;
  /** A request of revision 2026-07-28, and its response. */
  ask(id: string | number, method: string, params?: Message): Promise<Message>;
  /** A request as earlier revisions have them, and its response. */
  askEarlier(id: string | number, method: string, params?: Message): Promise<Message>;
}

export const META = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientCapabilities": { elicitation: {} },
};

export async function connectLocally(
  server: LocalServer,
  as: { readonly tenant?: string; readonly subject?: string; readonly permissions?: readonly string[] } = {},
): Promise<LocalTestClient> {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const tenant = parseSlug(as.tenant ?? "acme");
  if (tenant === null) throw new TypeError("That is no slug.");
  const { subject = "ada", permissions = null } = as;
  const connection = await server.connect({ tenant, subject, permissions, input, output });
  const received: Message[] = [];
  const news = new PassThrough({ objectMode: true });
  let rest = "";
  output.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) received.push(JSON.parse(line));
    news.emit("received");
  });
  const until = async (holds: (message: Message) => boolean): Promise<Message> => {
    for (;;) {
      const found = received.find(holds);
      if (found !== undefined) return found;
      await once(news, "received");
    }
  };
  const send = (message: Message | string): void => {
    input.write(typeof message === "string" ? message : `${JSON.stringify(message)}\n`);
  };
  const request = (id: string | number, method: string, params: Message): Promise<Message> => {
    send({ jsonrpc: "2.0", id, method, params });
    return until((message) => message.id === id && message.method === undefined);
  };
  return {
    connection,
    input,
    output,
    received,
    send,
    until,
    ask: (id, method, { _meta, ...params } = {}) =>
      request(id, method, { ...params, _meta: { ...META, ..._meta } }),
    askEarlier: (id, method, params = {}) => request(id, method, params),
  };
}
