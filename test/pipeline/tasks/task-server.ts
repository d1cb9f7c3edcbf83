import { z } from "zod";
import { CallerError, defineServer, defineTool } from "../../../src/catalog/define.ts";
import type { TenantContext } from "../../../src/tenancy/tenant-context.ts";

/** Doors at which handlers wait until a test opens them, and what handlers did. */
export class Works {
  readonly ran: string[] = [];
  readonly aborted: string[] = [];
  readonly #doors = new Map<string, { readonly opened: Promise<void>; readonly open: () => void }>();

  #door(name: string) {
    let door = this.#doors.get(name);
    if (door === undefined) {
      let open = (): void => {};
      const opened = new Promise<void>((resolve) => {
        open = resolve;
      });
      door = { opened, open };
      this.#doors.set(name, door);
    }
    return door;
  }

  open(name: string): void {
    this.#door(name).open();
  }

  /** Until the door is open or the signal aborted. */
  async pass(name: string, { signal }: Pick<TenantContext, "signal">): Promise<void> {
    this.ran.push(name);
    await new Promise<void>((resolve, reject) => {
      signal.addEventListener("abort", () => {
        this.aborted.push(name);
        reject(signal.reason);
      });
      this.#door(name).opened.then(resolve);
    });
  }

  times(name: string): number {
    return this.ran.filter((each) => each === name).length;
  }
}

const named = z.object({ name: z.string() });
const pollIntervalMs = 50;

/** A server whose tools run in the background. */
export function taskServer(works: Works) {
  const build = (name: string, more: object) =>
    defineTool({
      name,
      description: "Builds something, behind a door.",
      input: named,
      task: { support: "preferred", pollIntervalMs },
      ...more,
      async run({ name: what }, ctx) {
        const first = await ctx.step("first", () => {
          works.ran.push(`step of ${what}`);
          return works.times(`step of ${what}`);
        });
        ctx.progress({ progress: 1, total: 2, message: `building ${what}` });
        await works.pass(what, ctx);
        return `${what} is built, step ${first}`;
      },
    });
  return defineServer({
    name: "tasks",
    version: "1.0.0",
    tools: [
      build("build", {}),
      build("build_again", { annotations: { idempotentHint: true } }),
      build("build_briefly", { task: { support: "preferred", pollIntervalMs, ttlMs: 2_000 } }),
      build("build_secretly", { requires: "vault:read" }),
      defineTool({
        name: "delete_file",
        description: "Asks before it deletes.",
        input: named,
        task: { support: "preferred", pollIntervalMs },
        async run({ name }, ctx) {
          works.ran.push(`begin ${name}`);
          const answer = await ctx.elicit("sure", {
            message: `Delete ${name}?`,
            schema: z.object({ sure: z.boolean() }),
          });
          return answer.action === "accept" && answer.content.sure ? `${name} is gone` : `${name} stays`;
        },
      }),
      defineTool({
        name: "ask_twice",
        description: "Asks two things at once.",
        task: { support: "preferred", pollIntervalMs },
        async run(_input, ctx) {
          const schema = z.object({ text: z.string() });
          const answers = await Promise.all(
            ["one", "two"].map((key) => ctx.elicit(key, { message: `${key}?`, schema })),
          );
          return answers.map((each) => (each.action === "accept" ? each.content.text : "")).join(" and ");
        },
      }),
      defineTool({
        name: "ask_before",
        description: "Asks before there is a task.",
        task: {
          support: "always",
          pollIntervalMs,
          async before(_input, ctx) {
            const answer = await ctx.elicit("who", {
              message: "Who?",
              schema: z.object({ name: z.string() }),
            });
            if (answer.action !== "accept") throw new CallerError("Nobody.");
            await ctx.step("greeted", () => {
              works.ran.push("greeted");
            });
          },
        },
        async run(_input, ctx) {
          const answer = await ctx.elicit("who", {
            message: "Who?",
            schema: z.object({ name: z.string() }),
          });
          await ctx.step("greeted", () => {
            works.ran.push("greeted");
          });
          return `Hello, ${answer.action === "accept" ? answer.content.name : "nobody"}`;
        },
      }),
      defineTool({
        name: "think_before",
        description: "Takes its time before there is a task, whoever waits for it.",
        input: named,
        task: {
          support: "always",
          before: ({ name }, ctx) => works.pass(name, ctx).catch(() => {}),
        },
        run: () => "done",
      }),
      defineTool({
        name: "break",
        description: "Throws.",
        task: { support: "preferred", pollIntervalMs },
        run() {
          throw new Error("secret of the implementation");
        },
      }),
      defineTool({
        name: "say_no",
        description: "Says no.",
        task: { support: "always", pollIntervalMs },
        run() {
          throw new CallerError("No.");
        },
      }),
      defineTool({
        name: "say_much",
        description: "Says more than is kept.",
        task: { support: "preferred", pollIntervalMs },
        run: () => "x".repeat(1_100_000),
      }),
      defineTool({
        name: "step_in_circles",
        description: "Has a step whose result holds itself.",
        task: { support: "preferred", pollIntervalMs },
        async run(_input, ctx) {
          const whole: Record<string, unknown> = {};
          whole.part = whole;
          return JSON.stringify(await ctx.step("whole", () => whole));
        },
      }),
      defineTool({ name: "hello", description: "Is never a task.", run: () => "hello" }),
    ],
    development: {
      plans: { free: { limits: { requestsPerMinute: null, maxConcurrency: 6 } } },
      tenants: ["acme", "globex"].map((slug) => ({
        slug,
        name: slug,
        plan: "free",
        users: [
          { subject: "ada", name: "Ada", permissions: ["vault:read"] },
          { subject: "bob", name: "Bob", permissions: ["vault:read"] },
        ],
      })),
    },
  });
}
