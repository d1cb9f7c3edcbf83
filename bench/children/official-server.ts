/**
 * The official SDK's server in its documented form for plain `node:http` (its "Serve over HTTP", "Mount it on your
 * runtime"): the same one tool, no tenants, no authentication.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  localhostHostValidation,
  localhostOriginValidation,
  toNodeHandler,
} from "@modelcontextprotocol/node";
import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import { z } from "zod";
import { answerOrders } from "./answer-orders.ts";

const handler = createMcpHandler(() => {
  const server = new McpServer({ name: "bench", version: "1.0.0" });
  server.registerTool(
    "greet_25",
    {
      description: "Greets somebody by name.",
      inputSchema: z.object({ name: z.string() }),
      annotations: { readOnlyHint: true },
    },
    async ({ name }) => ({ content: [{ type: "text", text: `Hello, ${name}.` }] }),
  );
  return server;
});
const nodeHandler = toNodeHandler(handler);
const validateHost = localhostHostValidation();
const validateOrigin = localhostOriginValidation();
const server = createServer((req, res) => {
  if (!validateHost(req, res) || !validateOrigin(req, res)) return;
  // Their types ask for less than exactOptionalPropertyTypes does.
  void nodeHandler(req as Parameters<typeof nodeHandler>[0], res);
});

answerOrders({
  answer: () =>
    new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", () => resolve({ port: (server.address() as AddressInfo).port }));
    }),
  close: () => handler.close(),
});
