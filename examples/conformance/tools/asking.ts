import { defineTool, type ElicitAnswer } from "bulkhead-mcp";
import { z } from "zod";
import { accountForm, choicesForm, defaultsForm } from "../forms.ts";
import { question, textOf } from "../sampling.ts";

/**
 * Handlers that ask their client once. They work on every revision: an earlier client is asked on the open stream, and
 * one of 2026-07-28 is sent away with the question and calls again with the answer.
 */
export const askingTools = [
  defineTool({
    name: "test_sampling",
    description: "Lets the client's model answer a prompt.",
    input: z.object({ prompt: z.string().describe("The prompt to send to the model") }),
    async run({ prompt }, ctx) {
      return `LLM response: ${textOf(await ctx.sample("answer", question(prompt)))}`;
    },
  }),
  defineTool({
    name: "test_elicitation",
    description: "Asks the user for a name and an address.",
    input: z.object({ message: z.string().describe("The message to show the user") }),
    async run({ message }, ctx) {
      return `User response: ${described(await ctx.elicit("account", { message, schema: accountForm }))}`;
    },
  }),
  defineTool({
    name: "test_elicitation_sep1034_defaults",
    description: "Shows the user a form whose fields are filled in already.",
    async run(_input, ctx) {
      const message = "Please review and update the form fields with defaults";
      return `Elicitation completed: ${described(await ctx.elicit("profile", { message, schema: defaultsForm }))}`;
    },
  }),
  defineTool({
    name: "test_elicitation_sep1330_enums",
    description: "Shows the user every kind of choice.",
    async run(_input, ctx) {
      const message = "Please select options from the enum fields";
      return `Elicitation completed: ${described(await ctx.elicit("choices", { message, schema: choicesForm }))}`;
    },
  }),
  defineTool({
    name: "test_missing_capability",
    description: "Needs the client's model: a client that has none is refused.",
    async run(_input, ctx) {
      return textOf(await ctx.sample("answer", question("Are you there?")));
    },
  }),
];

function described(answer: ElicitAnswer<unknown>): string {
  const content = answer.action === "accept" ? JSON.stringify(answer.content) : "{}";
  return `action=${answer.action}, content=${content}`;
}
