/** The limit: what plain `node:http` does when it parses the request's JSON and writes an answer of the same form. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { answerOrders } from "./answer-orders.ts";

const server = createServer((req, res) => {
  const chunks: Buffer[] = [];
  req.on("data", (chunk: Buffer) => chunks.push(chunk));
  req.on("end", () => {
    const body = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
    const message = JSON.parse(body.toString());
    const answer = Buffer.from(
      JSON.stringify({
        jsonrpc: "2.0",
        id: message.id,
        result: {
          resultType: "complete",
          content: [{ type: "text", text: `Hello, ${message.params.arguments.name}.` }],
          _meta: { "io.modelcontextprotocol/serverInfo": { name: "bench", version: "1.0.0" } },
        },
      }),
    );
    res.writeHead(200, {
      "content-type": "application/json",
      "content-length": answer.length,
      "cache-control": "no-store",
    });
    res.end(answer);
  });
});

answerOrders({
  answer: () =>
    new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", () => resolve({ port: (server.address() as AddressInfo).port }));
    }),
  close: async () => server.closeAllConnections(),
});
