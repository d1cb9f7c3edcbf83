import type { ContentBlock, PromptMessage, ToolResult } from "../catalog/define.ts";
import { isObject } from "./json-rpc.ts";
import { CURRENT, type Revision } from "./revisions.ts";

/** The first revision in which a result may link to a resource. */
const WITHOUT_LINKS: Revision = "2025-03-26";

/**
 * A tool's result as a revision has it, its `_meta` apart. Before 2026-07-28 structured content is an object, and at first
 * there was none.
 */
export function shapeToolResult(result: ToolResult, revision: Revision): object {
  // Nearly all results are what they are to be: no other object is made of them.
  if (revision === CURRENT && result._meta === undefined) return result;
  const { content, structuredContent, isError } = result;
  const own = isError === undefined ? {} : { isError };
  if (revision === CURRENT) return { content, structuredContent, ...own };
  return {
    ...own,
    content: content.map((block) => shapeBlock(block, revision)),
    ...(isObject(structuredContent) && revision !== WITHOUT_LINKS ? { structuredContent } : {}),
  };
}

/** A read resource's contents. On the current revision they are good for this caller, and for now. */
export function shapeContents(
  contents: readonly Readonly<Record<string, unknown>>[],
  revision: Revision,
): Readonly<Record<string, unknown>> {
  return revision === CURRENT ? { contents, ttlMs: 0, cacheScope: "private" } : { contents };
}

export function shapeMessages(
  messages: readonly PromptMessage[],
  revision: Revision,
): readonly PromptMessage[] {
  if (revision !== WITHOUT_LINKS) return messages;
  return messages.map(({ role, content }) => ({ role, content: shapeBlock(content, revision) }));
}

function shapeBlock(block: ContentBlock, revision: Revision): ContentBlock {
  if (revision !== WITHOUT_LINKS || block.type !== "resource_link") return block;
  const { name, uri, description } = block;
  return { type: "text", text: `${name}: ${uri}${description === undefined ? "" : `\n${description}`}` };
}
