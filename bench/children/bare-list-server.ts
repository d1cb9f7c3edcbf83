/** The limit for lists: plain `node:http` that parses the request's JSON and writes the same bytes as the server beside it. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { answerOrders } from "./answer-orders.ts";

/** What it writes after the id of the request. */
export interface BareListOrder {
  readonly afterId: string;
}

let afterId = "";
const server = createServer((req, res) => {
  const chunks: Buffer[] = [];
  req.on("data", (chunk: Buffer) => chunks.push(chunk));
  req.on("end", () => {
    const body = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
    const message = JSON.parse(body.toString());
    const answer = Buffer.from(`{"jsonrpc":"2.0","id":${message.id}${afterId}`);
    res.writeHead(200, {
      "content-type": "application/json",
      "content-length": answer.length,
      "cache-control": "no-store",
    });
    res.end(answer);
  });
});

answerOrders<BareListOrder>({
  answer: (order) => {
    afterId = order.afterId;
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", () => resolve({ port: (server.address() as AddressInfo).port }));
    });
  },
  close: async () => server.closeAllConnections(),
});
