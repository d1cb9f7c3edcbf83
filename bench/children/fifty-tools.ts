import { z } from "zod";
import { defineServer, defineTool } from "../../src/catalog/define.ts";

/** A tool set that no tenant has until it is given to one: what a tenant lists is another then. */
export const MORE_TOOLS = "more";

/** The module that Bulkhead serves in the bench: 50 read-only tools of one line, all behind one permission; and one that no tenant has. */
export const fiftyTools = defineServer({
  name: "bench",
  version: "1.0.0",
  tools: [
    ...Array.from({ length: 50 }, (_, i) =>
      defineTool({
        name: `greet_${i + 1}`,
        description: "Greets somebody by name.",
        input: z.object({ name: z.string() }),
        requires: "bench:greet",
        annotations: { readOnlyHint: true },
        run: ({ name }) => `Hello, ${name}.`,
      }),
    ),
    defineTool({
      name: "greet_more",
      description: "Greets everybody.",
      toolSet: MORE_TOOLS,
      requires: "bench:greet",
      annotations: { readOnlyHint: true },
      run: () => "Hello, all.",
    }),
  ],
});
