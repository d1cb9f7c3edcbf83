import { setTimeout as delay } from "node:timers/promises";
import { CallerError, defineTool } from "bulkhead-mcp";
import { z } from "zod";
import { askName } from "../ask-name.ts";
import { confirmForm, nameForm } from "../forms.ts";

/** How often clients that wait should ask, in milliseconds. */
const pollIntervalMs = 200;

/** Tools that may run in the background (extension `io.modelcontextprotocol/tasks`), and one that never does. */
export const taskTools = [
  defineTool({
    name: "greet",
    description: "Greets, at once.",
    input: z.object({ name: z.string() }),
    run: ({ name }) => `Hello, ${name}!`,
  }),
  defineTool({
    name: "slow_compute",
    description: "Takes as many seconds as it is told to, or until it is cancelled.",
    input: z.object({ seconds: z.number().min(0).max(60), label: z.string().default("unnamed") }),
    task: { support: "preferred", pollIntervalMs },
    async run({ seconds, label }, { signal }) {
      await delay(seconds * 1000, undefined, { signal });
      return `${label} took ${seconds} seconds.`;
    },
  }),
  defineTool({
    name: "failing_job",
    description:
      "Fails in a way that the caller is told of: the task ends as completed, with an error as its result.",
    task: { support: "always", pollIntervalMs },
    run() {
      throw new CallerError("This job always fails.");
    },
  }),
  defineTool({
    name: "protocol_error_job",
    description: "Fails in a way that nobody has provided for: the task ends as failed.",
    task: { support: "preferred", pollIntervalMs },
    run() {
      throw new TypeError("This job is broken.");
    },
  }),
  defineTool({
    name: "confirm_delete",
    description: "Asks the user, in the middle of its work, whether it may go on.",
    input: z.object({ filename: z.string() }),
    task: { support: "preferred", pollIntervalMs },
    async run({ filename }, ctx) {
      const answer = await ctx.elicit("confirm", { message: `Delete ${filename}?`, schema: confirmForm });
      return answer.action === "accept" && answer.content.confirm
        ? `${filename} is deleted.`
        : `${filename} is kept.`;
    },
  }),
  defineTool({
    name: "multi_input",
    description: "Asks the user two things at once, which may be answered one by one.",
    task: { support: "preferred", pollIntervalMs },
    async run(_input, ctx) {
      const [name, confirmation] = await Promise.all([
        ctx.elicit("name", { message: "What is your name?", schema: nameForm }),
        ctx.elicit("confirmation", { message: "Is that so?", schema: confirmForm }),
      ]);
      return `You answered: ${name.action}, ${confirmation.action}.`;
    },
  }),
  defineTool({
    name: "test_tool_with_task",
    description: "Asks the user for a name before it begins, and greets them in the background.",
    // The same question by the same key: in the background its answer is there already.
    task: { support: "always", pollIntervalMs, before: (_input, ctx) => askName(ctx) },
    async run(_input, ctx) {
      return `Hello, ${await askName(ctx)}!`;
    },
  }),
];
