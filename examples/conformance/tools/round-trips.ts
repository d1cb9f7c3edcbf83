import { defineTool } from "bulkhead-mcp";
import { askName } from "../ask-name.ts";
import { colorForm, nameForm, okForm } from "../forms.ts";
import { question, textOf } from "../sampling.ts";

/**
 * What a handler may ask of a client of 2026-07-28 (the specification calls it multi round-trip requests). Each of these
 * is run from the top again when an answer is there; what `ctx.step` gave comes back with the answer, sealed.
 */
export const roundTripTools = [
  defineTool({
    name: "test_input_required_result_elicitation",
    description: "Asks the user for a name and greets them.",
    async run(_input, ctx) {
      return `Hello, ${await askName(ctx)}!`;
    },
  }),
  defineTool({
    name: "test_input_required_result_sampling",
    description: "Asks the client's model about France.",
    run: async (_input, ctx) =>
      textOf(await ctx.sample("capital_question", question("What is the capital of France?"))),
  }),
  defineTool({
    name: "test_input_required_result_list_roots",
    description: "Asks the client which folders it works in.",
    async run(_input, ctx) {
      const roots = await ctx.roots("client_roots");
      return `Roots: ${roots.map(({ uri }) => uri).join(", ")}`;
    },
  }),
  defineTool({
    name: "test_input_required_result_request_state",
    description: "Remembers something while it waits for the user.",
    async run(_input, ctx) {
      const asked = await ctx.step("asked", () => new Date().toISOString());
      await ctx.elicit("confirm", { message: "Please confirm", schema: okForm });
      return `state-ok: asked at ${asked}`;
    },
  }),
  defineTool({
    name: "test_input_required_result_multiple_inputs",
    description: "Asks the user, the model and the client at once.",
    async run(_input, ctx) {
      await ctx.step("begun", () => true);
      const [name, greeting, roots] = await Promise.all([
        askName(ctx),
        ctx.sample("greeting", question("Generate a greeting", 50)),
        ctx.roots("client_roots"),
      ]);
      return `${textOf(greeting)} ${name}, you work in ${roots.length} folders.`;
    },
  }),
  defineTool({
    name: "test_input_required_result_multi_round",
    description: "Asks the user twice, one question after the other.",
    async run(_input, ctx) {
      await ctx.step("begun", () => true);
      const first = await ctx.elicit("step1", { message: "Step 1: What is your name?", schema: nameForm });
      const second = await ctx.elicit("step2", {
        message: "Step 2: What is your favorite color?",
        schema: colorForm,
      });
      if (first.action !== "accept" || second.action !== "accept") return "You did not say.";
      return `${first.content.name} likes ${second.content.color}.`;
    },
  }),
  defineTool({
    name: "test_input_required_result_tampered_state",
    description: "Remembers something that the client cannot change unnoticed.",
    async run(_input, ctx) {
      await ctx.step("begun", () => true);
      await ctx.elicit("confirm", { message: "Please confirm", schema: okForm });
      return "The state came back as it was sent.";
    },
  }),
  defineTool({
    name: "test_input_required_result_capabilities",
    description: "Asks only those that the client can ask.",
    async run(_input, ctx) {
      const [name, greeting] = await Promise.all([
        ctx.client.can("elicitation.form") ? askName(ctx) : "whoever you are",
        ctx.client.can("sampling") ? ctx.sample("greeting", question("Generate a greeting")) : null,
      ]);
      return `${greeting === null ? "Hello" : textOf(greeting)}, ${name}!`;
    },
  }),
];
