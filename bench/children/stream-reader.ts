/** Opens `subscriptions/listen` streams over loopback, and notes when something comes over which. */
import { connect, type Socket } from "node:net";
import { answerOrders } from "./answer-orders.ts";

/** A stream to be opened. */
export interface StreamAccess {
  readonly path: string;
  readonly token: string;
}

export type StreamOrder =
  | { readonly do: "open"; readonly port: number; readonly streams: readonly StreamAccess[] }
  /** From here on moments are noted. */
  | { readonly do: "watch" }
  /** Waits until as many streams as said were told something since then. */
  | { readonly do: "arrivals"; readonly path: string; readonly count: number }
  | { readonly do: "close" };

/** Moments in milliseconds, on the clock that all processes of a machine share. */
export interface Arrivals {
  readonly moments: readonly number[];
  /** Messages that came over streams of other paths. */
  readonly others: number;
}

/** Streams that are being opened at the same time. */
const AT_ONCE = 100;
const OPENING_MS = 30_000;
const ARRIVAL_MS = 60_000;
const MESSAGE = '"jsonrpc"';

const sockets = new Set<Socket>();
/** The first message over each stream since `watch`. */
const told = new Map<Socket, { readonly path: string; readonly at: number }>();
let onTold: () => void = () => {};

/** Without a parser of HTTP: ten thousand of them would measure the client. */
function open(port: number, { path, token }: StreamAccess): Promise<void> {
  const meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": { name: "bench", version: "1.0.0" },
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const params = { notifications: { toolsListChanged: true }, _meta: meta };
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "subscriptions/listen", params });
  const head = [
    `POST ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    `Authorization: Bearer ${token}`,
    "Content-Type: application/json",
    "Accept: application/json, text/event-stream",
    "MCP-Protocol-Version: 2026-07-28",
    "Mcp-Method: subscriptions/listen",
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    const fail = (why: string): void => {
      socket.destroy();
      reject(new Error(`A stream of ${path} is not open: ${why}`));
    };
    const timer = setTimeout(() => fail("it takes too long."), OPENING_MS);
    let acknowledged = false;
    let before = "";
    socket.setEncoding("latin1");
    socket.on("error", (error) => fail(error.message));
    socket.on("close", () => {
      sockets.delete(socket);
      if (!acknowledged) fail(before.slice(0, 500));
    });
    socket.on("data", (text: string) => {
      if (acknowledged) {
        if (!text.includes(MESSAGE) || told.has(socket)) return;
        told.set(socket, { path, at: moment() });
        onTold();
        return;
      }
      before += text;
      if (!before.includes("subscriptions/acknowledged")) return;
      acknowledged = true;
      before = "";
      clearTimeout(timer);
      sockets.add(socket);
      resolve();
    });
    socket.write(`${head.join("\r\n")}\r\n\r\n${body}`);
  });
}

function arrivals(path: string, count: number): Promise<Arrivals> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      const ofPath = [...told.values()].filter((each) => each.path === path).length;
      reject(new Error(`${ofPath} of ${count} streams of ${path} were told.`));
    }, ARRIVAL_MS);
    onTold = () => {
      if (told.size < count) return;
      const all = [...told.values()];
      const moments = all.filter((each) => each.path === path).map(({ at }) => at);
      if (moments.length < count) return;
      clearTimeout(timer);
      onTold = () => {};
      resolve({ moments, others: all.length - moments.length });
    };
    onTold();
  });
}

function moment(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

answerOrders<StreamOrder>({
  async answer(order) {
    switch (order.do) {
      case "open": {
        const waiting = [...order.streams];
        const openNext = async (): Promise<void> => {
          for (let next = waiting.pop(); next !== undefined; next = waiting.pop())
            await open(order.port, next);
        };
        await Promise.all(Array.from({ length: AT_ONCE }, openNext));
        return { open: sockets.size };
      }
      case "watch":
        told.clear();
        return null;
      case "arrivals":
        return arrivals(order.path, order.count);
      case "close":
        for (const socket of sockets) socket.destroy();
        return null;
    }
  },
  close: async () => {
    for (const socket of sockets) socket.destroy();
  },
});
