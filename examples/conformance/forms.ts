import type { JsonSchema } from "bulkhead-mcp";
import { z } from "zod";

/** A form is a schema. Most are written as any other: */
export const nameForm = z.object({ name: z.string() });
export const colorForm = z.object({ color: z.string() });
export const contextForm = z.object({ context: z.string() });
export const okForm = z.object({ ok: z.boolean() });
export const confirmForm = z.object({ confirm: z.boolean() });
export const accountForm = z.object({
  username: z.string().describe("User's response"),
  email: z.string().describe("User's email address"),
});

/** Raw JSON Schema says what a schema library has no word for, such as defaults of fields that may be left out. */
export const defaultsForm: JsonSchema = {
  type: "object",
  properties: {
    name: { type: "string", description: "User name", default: "John Doe" },
    age: { type: "integer", description: "User age", default: 30 },
    score: { type: "number", description: "User score", default: 95.5 },
    status: {
      type: "string",
      description: "User status",
      enum: ["active", "inactive", "pending"],
      default: "active",
    },
    verified: { type: "boolean", description: "Verification status", default: true },
  },
};

const PLAIN = ["option1", "option2", "option3"];
const TITLED = [
  { const: "value1", title: "First Option" },
  { const: "value2", title: "Second Option" },
  { const: "value3", title: "Third Option" },
];

/** Every way in which a form can offer a choice. */
export const choicesForm: JsonSchema = {
  type: "object",
  properties: {
    untitledSingle: { type: "string", enum: PLAIN },
    titledSingle: { type: "string", oneOf: TITLED },
    // How titles were given before 2025-11-25.
    legacyEnum: {
      type: "string",
      enum: ["opt1", "opt2", "opt3"],
      enumNames: ["Option One", "Option Two", "Option Three"],
    },
    untitledMulti: { type: "array", items: { type: "string", enum: PLAIN } },
    titledMulti: { type: "array", items: { anyOf: TITLED } },
  },
};
