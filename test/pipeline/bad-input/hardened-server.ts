import { setImmediate as nextTurn } from "node:timers/promises";
import { z } from "zod";
import {
  definePrompt,
  defineResource,
  defineServer,
  defineTool,
  type ServerDefinition,
} from "../../../src/catalog/define.ts";

/** What a call of `flood` has done so far. */
export interface Flood {
  /** Messages handed on. */
  said: number;
  /** Whether it was told to stop, and whether it came to its end. */
  stopped: boolean;
  finished: boolean;
}

export interface HardenedServer {
  readonly definition: ServerDefinition;
  /** Of each call of `flood`, in order. */
  readonly floods: Flood[];
  /** Runs of handlers so far. */
  readonly runs: () => number;
  /** Calls of `hold` that have not ended. */
  readonly holding: () => number;
}

/** Bytes of one message, a little less than what may be sent at all. */
const PIECE = "x".repeat(60_000);
/** About 50 MB. */
export const PIECES = 840;

/** A server whose handlers show what came to them, and do what is hard on a server. */
export function createHardenedServer(): HardenedServer {
  const floods: Flood[] = [];
  let runs = 0;
  let holding = 0;
  const names = (value: unknown): string =>
    JSON.stringify({
      own: Object.getOwnPropertyNames(value),
      plain: Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null,
    });
  const definition = defineServer({
    name: "hardened",
    version: "1.0.0",
    tools: [
      defineTool({
        name: "echo",
        description: "Says what it was given.",
        annotations: { readOnlyHint: true },
        input: { type: "object" },
        run: (input) => {
          runs++;
          return names(input);
        },
      }),
      defineTool({
        name: "strict",
        description: "Takes one text.",
        annotations: { readOnlyHint: true },
        input: z.object({ text: z.string().optional() }),
        run: (input) => {
          runs++;
          return names(input);
        },
      }),
      defineTool({
        name: "greet",
        description: "Asks for a name.",
        annotations: { readOnlyHint: true },
        input: { type: "object" },
        run: async (_input, ctx) => {
          runs++;
          const asked = await ctx.elicit("name", {
            message: "Your name?",
            schema: z.object({ name: z.string().min(1) }),
          });
          return asked.action === "accept" ? `Hello, ${asked.content.name}` : asked.action;
        },
      }),
      defineTool({
        name: "greet_too",
        description: "Asks for a name as well.",
        annotations: { readOnlyHint: true },
        input: { type: "object" },
        run: async (_input, ctx) => (await ctx.elicit("name", { message: "?", schema: z.object({}) })).action,
      }),
      defineTool({
        name: "roots",
        description: "Names the client's roots.",
        annotations: { readOnlyHint: true },
        run: async (_input, ctx) => (await ctx.roots("roots")).map(({ uri }) => uri).join(" "),
      }),
      defineTool({
        name: "hold",
        description: "Goes on until it is told to stop.",
        annotations: { readOnlyHint: true },
        run: async (_input, ctx) => {
          holding++;
          await new Promise((resolve) => ctx.signal.addEventListener("abort", resolve));
          holding--;
          return "stopped";
        },
      }),
      defineTool({
        name: "flood",
        description: "Says 50 MB before it answers.",
        annotations: { readOnlyHint: true },
        input: z.object({ by: z.enum(["message", "progress"]) }),
        run: async ({ by }, ctx) => {
          const flood: Flood = { said: 0, stopped: false, finished: false };
          floods.push(flood);
          ctx.signal.addEventListener("abort", () => {
            // Beyond its end a call's signal is aborted in any case.
            flood.stopped = !flood.finished;
          });
          for (; flood.said < PIECES && !flood.stopped; flood.said++) {
            if (by === "message") ctx.message("info", PIECE);
            else ctx.progress({ progress: flood.said, message: PIECE });
            await nextTurn();
          }
          flood.finished = flood.said === PIECES;
          return "said";
        },
      }),
    ],
    prompts: [
      definePrompt({
        name: "odd",
        arguments: [{ name: "constructor" }, { name: "toString" }, { name: "__proto__" }],
        get: (given) => names(given),
      }),
    ],
    resources: [
      defineResource({
        name: "odd",
        uri: "odd://{__proto__}/{constructor}",
        read: (given) => names(given),
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
  return { definition, floods, runs: () => runs, holding: () => holding };
}

function user(subject: string): { subject: string; name: string; permissions: string[] } {
  return { subject, name: subject, permissions: [] };
}
