import type { TenantContext } from "bulkhead-mcp";
import { nameForm } from "./forms.ts";

/** The user's name, asked for once in a call. */
export async function askName(ctx: TenantContext): Promise<string> {
  const answer = await ctx.elicit("user_name", { message: "What is your name?", schema: nameForm });
  return answer.action === "accept" ? answer.content.name : "stranger";
}
