import { acceptedContent, inputRequired, McpServer } from "@modelcontextprotocol/server";
import { currentTenant } from "bulkhead-mcp";
import { z } from "zod";

const confirmation = z.object({ confirm: z.boolean().meta({ title: "Deploy" }) });

/** A server as it is written for the official SDK's second generation: the factory that its HTTP handler takes. */
export function buildServer(): McpServer {
  const server = new McpServer({ name: "deploys", version: "2.0.0" });
  let calls = 0;

  server.registerTool(
    "deploy",
    { description: "Deploys once somebody has agreed.", inputSchema: z.object({ env: z.string() }) },
    async ({ env }, ctx) => {
      const answer = acceptedContent(ctx.mcpReq.inputResponses, "confirm", confirmation);
      if (answer?.confirm !== true)
        return inputRequired({
          inputRequests: {
            confirm: inputRequired.elicit({ message: `Deploy to ${env}?`, requestedSchema: confirmation }),
          },
        });
      const { slug } = currentTenant().tenant;
      return { content: [{ type: "text", text: `Deployed to ${env} of ${slug}.` }] };
    },
  );

  server.registerTool(
    "who",
    {
      description: "Who calls, and how often this server object was called.",
      inputSchema: z.object({}),
      annotations: { readOnlyHint: true },
    },
    async () => {
      const { tenant, principal } = currentTenant();
      return { content: [{ type: "text", text: `${principal.subject} of ${tenant.slug}, call ${++calls}` }] };
    },
  );

  return server;
}
