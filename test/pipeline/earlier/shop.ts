import { vi } from "vitest";
import { z } from "zod";
import {
  defineResource,
  defineServer,
  defineTool,
  type ServerDefinition,
} from "../../../src/catalog/define.ts";
import type { TenantContext } from "../../../src/tenancy/tenant-context.ts";

/** A call of the tool `drive`: it does what the test does with it. */
export interface DrivenCall {
  readonly ctx: TenantContext;
  readonly stopped: () => boolean;
  finish(text: string): void;
}

export interface Shop {
  readonly definition: ServerDefinition;
  /** The next call of `drive` that nobody has taken. */
  nextCall(): Promise<DrivenCall>;
}

/** A server whose calls go on as tests say. */
export function createShop(): Shop {
  const calls: DrivenCall[] = [];
  const drive = (ctx: TenantContext): Promise<string> =>
    new Promise((resolve, reject) => {
      ctx.signal.addEventListener("abort", () => reject(ctx.signal.reason));
      calls.push({ ctx, stopped: () => ctx.signal.aborted, finish: resolve });
    });
  const definition = defineServer({
    name: "shop",
    title: "The shop",
    version: "1.2.3",
    websiteUrl: "https://shop.example",
    instructions: "Buy something.",
    tools: [
      defineTool({
        name: "sell",
        description: "Sells.",
        annotations: { readOnlyHint: true },
        run: () => "sold",
      }),
      defineTool({
        name: "talk",
        description: "Says something first.",
        annotations: { readOnlyHint: true },
        run: (_input, ctx) => {
          ctx.message("debug", "quietly");
          ctx.message("info", { said: "aloud" }, "shop");
          ctx.progress({ progress: 1, total: 2, message: "half" });
          return "talked";
        },
      }),
      defineTool({
        name: "drive",
        description: "Goes on as the test says.",
        run: (_input, ctx) => drive(ctx),
      }),
      defineTool({
        name: "roots",
        description: "Names the client's roots.",
        annotations: { readOnlyHint: true },
        run: async (_input, ctx) => (await ctx.roots("roots")).map(({ uri }) => uri).join(" "),
      }),
      defineTool({
        name: "order",
        description: "Asks for a size.",
        annotations: { readOnlyHint: true },
        run: async (_input, ctx) => {
          const asked = await ctx.elicit("size", {
            message: "Which size?",
            schema: z.object({ size: z.number().int().min(30).max(50) }),
          });
          return asked.action === "accept" ? `size ${asked.content.size}` : asked.action;
        },
      }),
    ],
    resources: [
      defineResource({ name: "guide", uri: "shop://guide", description: "A guide.", read: () => "Read me." }),
      defineResource({
        name: "books",
        uri: "shop://books",
        description: "The books.",
        requires: "books:read",
        read: () => "42",
      }),
      defineResource({
        name: "plans",
        uri: "shop://plans",
        description: "Plans of one tenant.",
        tenants: ["acme"],
        read: () => "Grow.",
      }),
    ],
    development: {
      tenants: [
        {
          slug: "acme",
          name: "Acme",
          plan: "enterprise",
          users: [
            { subject: "ada", name: "Ada", permissions: ["books:read"] },
            { subject: "bob", name: "Bob", permissions: [] },
          ],
        },
        {
          slug: "globex",
          name: "Globex",
          plan: "enterprise",
          users: [{ subject: "grace", name: "Grace", permissions: ["books:read"] }],
        },
      ],
    },
  });
  return {
    definition,
    nextCall: () =>
      vi.waitFor(() => {
        const call = calls.shift();
        if (call === undefined) throw new TypeError("Nobody has called.");
        return call;
      }, 5_000),
  };
}
