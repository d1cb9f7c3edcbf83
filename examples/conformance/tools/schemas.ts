import { defineTool } from "bulkhead-mcp";
import { z } from "zod";

/** How a tool may describe its arguments. */
export const schemaTools = [
  defineTool({
    name: "json_schema_2020_12_tool",
    description: "Takes arguments that raw JSON Schema describes, which clients see as it is written.",
    input: {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      $defs: {
        address: {
          $anchor: "addressDef",
          type: "object",
          properties: { street: { type: "string" }, city: { type: "string" } },
        },
      },
      properties: {
        name: { type: "string" },
        address: { $ref: "#/$defs/address" },
        contactMethod: { type: "string", enum: ["phone", "email"] },
        phone: { type: "string" },
        email: { type: "string" },
      },
      allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
      if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
      // biome-ignore lint/suspicious/noThenProperty: JSON Schema's word.
      then: { required: ["phone"] },
      else: { required: ["email"] },
      additionalProperties: false,
    },
    run: (input) => `Received: ${JSON.stringify(input)}`,
  }),
  defineTool({
    name: "test_x_mcp_header",
    description: "Takes arguments that clients repeat in HTTP headers, so that proxies can route by them.",
    input: z.object({
      region: z.string().meta({ "x-mcp-header": "Region" }).optional(),
      level: z.int().optional(),
    }),
    run: ({ region }) => `region=${region ?? ""}`,
  }),
];
