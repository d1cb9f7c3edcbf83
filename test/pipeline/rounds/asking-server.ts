import {
  CallerError,
  definePrompt,
  defineResource,
  defineServer,
  defineTool,
  type ServerDefinition,
} from "bulkhead-mcp";
import { z } from "zod";

const NAME = z.object({ name: z.string().min(1) });
const YES = z.object({ yes: z.boolean() });
const CAPITAL = {
  messages: [{ role: "user", content: { type: "text", text: "What is the capital of France?" } }],
  maxTokens: 100,
} as const;

/** A server whose handlers ask back, and what they have done: one line for each act and run. */
export function createAskingServer(): { readonly server: ServerDefinition; readonly done: string[] } {
  const done: string[] = [];
  const server = defineServer({
    name: "asking",
    version: "1.0.0",
    tools: [
      defineTool({
        name: "greet",
        description: "Asks for a name.",
        input: z.object({ greeting: z.string().default("Hello") }),
        async run({ greeting }, ctx) {
          done.push("greet");
          const answer = await ctx.elicit("name", { message: "What is your name?", schema: NAME });
          return answer.action === "accept"
            ? `${greeting}, ${answer.content.name}!`
            : `You said: ${answer.action}`;
        },
      }),
      defineTool({
        name: "greet_too",
        description: "As greet.",
        input: z.object({ greeting: z.string().default("Hello") }),
        async run(_input, ctx) {
          await ctx.elicit("name", { message: "What is your name?", schema: NAME });
          return "greet_too";
        },
      }),
      defineTool({
        name: "buy",
        description: "Acts, asks, acts, asks, acts.",
        async run(_input, ctx) {
          const act = (name: string) => ctx.step(name, () => `${name} ${done.push(name)}`);
          const quoted = await act("quote");
          const first = await ctx.elicit("order", { message: `Order for ${quoted}?`, schema: YES });
          if (first.action !== "accept" || !first.content.yes) return "nothing ordered";
          const reserved = await act("reserve");
          const second = await ctx.elicit("pay", { message: `Pay ${reserved}?`, schema: YES });
          if (second.action !== "accept") return "nothing paid";
          return [quoted, reserved, await act("charge")].join(", ");
        },
      }),
      defineTool({
        name: "connect",
        description: "Sends the user to a page.",
        async run(_input, ctx) {
          const url = "https://example.com/connect";
          return (await ctx.elicit("visit", { message: "Connect your account.", url })).action;
        },
      }),
      defineTool({
        name: "ask_model",
        description: "Asks the model.",
        async run(_input, ctx) {
          const { model, content } = await ctx.sample("capital", CAPITAL);
          return `${model}: ${JSON.stringify(content)}`;
        },
      }),
      defineTool({
        name: "ask_model_with_tools",
        description: "Asks the model, which may use tools.",
        run: async (_input, ctx) => (await ctx.sample("capital", { ...CAPITAL, tools: [] })).model,
      }),
      defineTool({
        name: "list_roots",
        description: "Asks for roots.",
        run: async (_input, ctx) => JSON.stringify(await ctx.roots("roots")),
      }),
      defineTool({
        name: "ask_all",
        description: "Asks everything at once.",
        async run(_input, ctx) {
          const [name, capital, roots] = await Promise.all([
            ctx.elicit("name", { message: "What is your name?", schema: NAME }),
            ctx.sample("capital", CAPITAL),
            ctx.roots("roots"),
          ]);
          return `${name.action}, ${capital.model}, ${roots.length}`;
        },
      }),
      defineTool({
        name: "fall_back",
        description: "Goes on where it must not.",
        async run(_input, ctx) {
          try {
            await ctx.roots("roots");
          } catch {
            await ctx.step("fallback", () => done.push("fallback"));
          }
          return "went on";
        },
      }),
      defineTool({
        name: "nested_form",
        description: "Asks what no form can have.",
        run: async (_input, ctx) =>
          (await ctx.elicit("x", { message: "?", schema: z.object({ a: z.object({}) }) })).action,
      }),
      defineTool({
        name: "give_up",
        description: "Lets the user say why not.",
        async run(_input, ctx) {
          const answer = await ctx.elicit("name", { message: "Name?", schema: NAME });
          throw new CallerError(`No: ${answer.action}`);
        },
      }),
      defineTool({
        name: "whoami",
        description: "The caller.",
        run: (_input, { principal }) => ({ ...principal, permissions: [...principal.permissions] }),
      }),
    ],
    prompts: [
      definePrompt({
        name: "greet",
        arguments: [
          {
            name: "tone",
            complete: async (_value, ctx) => {
              await ctx.step("completing", () => done.push("completing"));
              return (await ctx.roots("roots")).map(({ uri }) => uri);
            },
          },
        ],
        async get({ tone = "kind" }, ctx) {
          const answer = await ctx.elicit("name", { message: "What is your name?", schema: NAME });
          return `Greet ${answer.action === "accept" ? answer.content.name : "nobody"}, and be ${tone}.`;
        },
      }),
    ],
    resources: [
      defineResource({
        uri: "memo://{id}",
        name: "memo",
        async read({ id }, ctx) {
          const answer = await ctx.elicit("name", { message: "What is your name?", schema: NAME });
          return `${id} for ${answer.action === "accept" ? answer.content.name : "nobody"}`;
        },
      }),
    ],
    development: {
      plans: { unlimited: { limits: { requestsPerMinute: null } } },
      tenants: [
        { slug: "acme", name: "Acme", plan: "unlimited", users: [user("ada"), user("ben")] },
        { slug: "globex", name: "Globex", plan: "unlimited", users: [user("ada")] },
      ],
    },
  });
  return { server, done };
}

function user(subject: string): { subject: string; name: string; permissions: string[] } {
  return { subject, name: subject, permissions: [] };
}
