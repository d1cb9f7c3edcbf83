import { defineServer } from "bulkhead-mcp";
import { tenants } from "./demonstration.ts";
import { prompts } from "./prompts.ts";
import { resources } from "./resources.ts";
import { askingTools } from "./tools/asking.ts";
import { contentTools } from "./tools/content.ts";
import { roundTripTools } from "./tools/round-trips.ts";
import { schemaTools } from "./tools/schemas.ts";
import { taskTools } from "./tools/tasks.ts";
import { tellingTools } from "./tools/telling.ts";

export default defineServer({
  name: "conformance",
  title: "Conformance fixture",
  version: "1.0.0",
  description: "Everything of the protocol once: what the official conformance suites call.",
  // The suites call the first tool with no arguments, so it is one that needs none.
  tools: [...contentTools, ...tellingTools, ...askingTools, ...roundTripTools, ...schemaTools, ...taskTools],
  resources,
  prompts,
  development: {
    // A suite sends hundreds of requests within seconds.
    plans: { unlimited: { limits: { requestsPerMinute: null, maxConcurrency: null } } },
    tenants,
  },
});
