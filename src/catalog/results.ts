import type {
  ContentBlock,
  PromptResult,
  PromptReturn,
  ResourceReturn,
  ToolResult,
  ToolReturn,
} from "./define.ts";
import type { CompiledSchema } from "./schemas.ts";

/** A handler gave back something that no answer can be made of: the module's fault, not the caller's. */
class ReturnError extends Error {
  override readonly name = "ReturnError";
}

/** A tool's return as MCP writes it: text, or structured content with its JSON as text beside it ("Structured Content"). */
export function toToolResult(value: ToolReturn | undefined): ToolResult {
  if (value === undefined) return { content: [] };
  if (typeof value === "string") return { content: [{ type: "text", text: value }] };
  return isToolResult(value) ? wholeResult(value) : structuredResult(value);
}

/**
 * The same for a tool with an output schema: what is sent is what the schema gave back, since that is what its JSON
 * Schema describes to clients (zod drops members that an object's schema does not name).
 * @throws ReturnError where the return does not fit.
 */
export async function toFittingResult(
  value: ToolReturn | undefined,
  output: CompiledSchema,
): Promise<ToolResult> {
  const whole = value !== undefined && isToolResult(value) ? wholeResult(value) : null;
  if (whole?.isError === true) return whole;
  const checked = await output.validate(whole === null ? value : whole.structuredContent);
  if (!checked.valid) throw new ReturnError(`The output does not fit its schema: ${checked.issues}`);
  return whole === null ? structuredResult(checked.value) : { ...whole, structuredContent: checked.value };
}

/** Only the members of a result: any other could repeat one that the response has already. */
function wholeResult({ content, structuredContent, isError, _meta }: ToolResult): ToolResult {
  return {
    content,
    ...(structuredContent === undefined ? {} : { structuredContent }),
    ...(isError === undefined ? {} : { isError }),
    ...(_meta === undefined ? {} : { _meta }),
  };
}

function structuredResult(value: unknown): ToolResult {
  const text = JSON.stringify(value);
  if (text === undefined) throw new ReturnError("A tool gave back something that JSON cannot express.");
  return { content: [{ type: "text", text }], structuredContent: value };
}

export function errorResult(text: string): ToolResult {
  return { content: [{ type: "text", text }], isError: true };
}

/** A whole result has a list of content blocks; an object of the tool's own may have a list named `content` too. */
function isToolResult(value: ToolReturn): value is ToolResult {
  if (typeof value !== "object" || value === null || !("content" in value)) return false;
  const { content } = value;
  return Array.isArray(content) && content.every((block: unknown) => isContentBlock(block));
}

const BLOCK_TYPES: ReadonlySet<unknown> = new Set(["text", "image", "audio", "resource_link", "resource"]);

function isContentBlock(block: unknown): boolean {
  return typeof block === "object" && block !== null && "type" in block && BLOCK_TYPES.has(block.type);
}

/** Contents that are whole already: what no value of a handler's own can be taken for. */
const WHOLE = Symbol("bulkhead-mcp.contents");

/** What a handler gives that has everything of `resources/read`: contents and `_meta`. */
export function wholeContents(
  contents: readonly Readonly<Record<string, unknown>>[],
  _meta?: Readonly<Record<string, unknown>>,
): ResourceReturn {
  const whole: Readonly<Record<string | symbol, unknown>> = { [WHOLE]: true, contents, _meta };
  return whole;
}

/** The contents of a resource that was read. */
export interface ReadContents {
  readonly contents: readonly Readonly<Record<string, unknown>>[];
  readonly _meta?: Readonly<Record<string, unknown>> | undefined;
}

export function toResourceContents(
  uri: string,
  mimeType: string | undefined,
  value: ResourceReturn,
): ReadContents {
  if (isWhole(value)) return value;
  return { contents: [toContents(uri, mimeType, value)] };
}

function isWhole(value: ResourceReturn): value is ResourceReturn & ReadContents {
  return typeof value === "object" && WHOLE in value;
}

/** The one content of a resource that a handler gave as a value. */
function toContents(
  uri: string,
  mimeType: string | undefined,
  value: ResourceReturn,
): Readonly<Record<string, unknown>> {
  if (typeof value === "string") return { uri, mimeType: mimeType ?? "text/plain", text: value };
  if (value instanceof Uint8Array)
    return {
      uri,
      mimeType: mimeType ?? "application/octet-stream",
      blob: Buffer.from(value).toString("base64"),
    };
  const text = JSON.stringify(value);
  if (text === undefined) throw new ReturnError("A resource gave back something that JSON cannot express.");
  return { uri, mimeType: mimeType ?? "application/json", text };
}

export function toPromptResult(value: PromptReturn): PromptResult {
  if (typeof value === "string") {
    const content: ContentBlock = { type: "text", text: value };
    return { messages: [{ role: "user", content }] };
  }
  return "messages" in value ? value : { messages: value };
}
