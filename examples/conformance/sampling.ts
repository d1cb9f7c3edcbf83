import type { SampleAnswer, SampleRequest } from "bulkhead-mcp";

/** A question to the client's model. */
export function question(text: string, maxTokens = 100): SampleRequest {
  return { messages: [{ role: "user", content: { type: "text", text } }], maxTokens };
}

/** What a model said, as far as it said it in words. */
export function textOf({ content }: SampleAnswer): string {
  const blocks = Array.isArray(content) ? content : [content];
  return blocks.map((block) => (block.type === "text" ? block.text : `[${block.type}]`)).join("\n");
}
