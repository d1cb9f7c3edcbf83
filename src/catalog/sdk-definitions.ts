import type { JsonSchema, SchemaLike } from "../core/schema.ts";
import type { TenantContext } from "../tenancy/tenant-context.ts";
import type {
  Completer,
  Icon,
  PromptArgument,
  PromptDefinition,
  PromptMessage,
  ResourceDefinition,
  ToolDefinition,
  Visibility,
} from "./define.ts";
import { wholeContents } from "./results.ts";
import type { SdkRequest } from "./sdk-call.ts";
import { isObject } from "./sdk-conversation.ts";

type Json = Readonly<Record<string, unknown>>;

/** Passes a request on to a server object made for it. */
export type Forward = (request: SdkRequest, ctx: TenantContext) => Promise<Json>;

/** What is said of an entry besides what the server lists. */
export interface EntrySettings {
  readonly visibility: Visibility;
  readonly readOnly: boolean | undefined;
}

export interface DefinitionParts {
  readonly forward: Forward;
  readonly completes: boolean;
}

/** A tool as it is listed. Its arguments are checked by the server itself, in its own words. */
export function toolOf(entry: Json, settings: EntrySettings, { forward }: DefinitionParts): ToolDefinition {
  const name = text(entry.name) ?? "";
  const input = isObject(entry.inputSchema) ? entry.inputSchema : { type: "object" };
  const annotations = {
    ...(isObject(entry.annotations) ? entry.annotations : {}),
    ...(settings.readOnly === undefined ? {} : { readOnlyHint: settings.readOnly }),
  };
  return {
    ...settings.visibility,
    ...described(entry),
    name,
    description: text(entry.description) ?? text(entry.title) ?? name,
    input: asItIs(input),
    ...(isObject(entry.outputSchema) ? { output: asItIs(entry.outputSchema) } : {}),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    run: (args, ctx) => forward({ method: "tools/call", params: { name, arguments: args } }, ctx),
  };
}

/** A resource or a template as it is listed. */
export function resourceOf(
  entry: Json,
  settings: EntrySettings,
  { forward, completes }: DefinitionParts,
): ResourceDefinition {
  const template = text(entry.uriTemplate);
  const uri = template ?? text(entry.uri) ?? "";
  const description = text(entry.description);
  const mimeType = text(entry.mimeType);
  const names = template === undefined ? [] : [...template.matchAll(VARIABLE)].map((found) => found[1] ?? "");
  const ref = { type: "ref/resource", uri };
  const complete = Object.fromEntries(names.map((name) => [name, completerOf(ref, name, forward)]));
  return {
    ...settings.visibility,
    ...described(entry),
    uri,
    name: text(entry.name) ?? uri,
    ...(description === undefined ? {} : { description }),
    ...(mimeType === undefined ? {} : { mimeType }),
    ...(typeof entry.size === "number" ? { size: entry.size } : {}),
    ...(isObject(entry.annotations) ? { annotations: entry.annotations } : {}),
    ...(completes && names.length > 0 ? { complete } : {}),
    async read(_variables, ctx, asked) {
      const result = await forward({ method: "resources/read", params: { uri: asked } }, ctx);
      const contents = Array.isArray(result.contents) ? result.contents.filter(isObject) : [];
      return wholeContents(contents, isObject(result._meta) ? result._meta : undefined);
    },
  };
}

export function promptOf(
  entry: Json,
  settings: EntrySettings,
  { forward, completes }: DefinitionParts,
): PromptDefinition {
  const name = text(entry.name) ?? "";
  const description = text(entry.description);
  const ref = { type: "ref/prompt", name };
  const argumentOf = (argument: Json): PromptArgument => {
    const argumentName = text(argument.name) ?? "";
    const [title, said] = [text(argument.title), text(argument.description)];
    return {
      name: argumentName,
      ...(title === undefined ? {} : { title }),
      ...(said === undefined ? {} : { description: said }),
      ...(typeof argument.required === "boolean" ? { required: argument.required } : {}),
      ...(completes ? { complete: completerOf(ref, argumentName, forward) } : {}),
    };
  };
  return {
    ...settings.visibility,
    ...described(entry),
    name,
    ...(description === undefined ? {} : { description }),
    ...(Array.isArray(entry.arguments)
      ? { arguments: entry.arguments.filter(isObject).map(argumentOf) }
      : {}),
    async get(args, ctx) {
      const params = { name, arguments: { ...args } };
      const result = await forward({ method: "prompts/get", params }, ctx);
      const messages = Array.isArray(result.messages) ? result.messages.filter(isMessage) : [];
      const about = text(result.description);
      return {
        messages,
        ...(about === undefined ? {} : { description: about }),
        ...(isObject(result._meta) ? { _meta: result._meta } : {}),
      };
    },
  };
}

/** What an entry of any kind has. */
export function described(entry: Json): {
  readonly title?: string;
  readonly icons?: readonly Icon[];
  readonly _meta?: Json;
} {
  const title = text(entry.title);
  return {
    ...(title === undefined ? {} : { title }),
    ...(Array.isArray(entry.icons) ? { icons: entry.icons.filter(isIcon) } : {}),
    ...(isObject(entry._meta) ? { _meta: entry._meta } : {}),
  };
}

export function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

const VARIABLE = /\{([A-Za-z_][A-Za-z0-9_]*)\}/g;

function completerOf(ref: Json, name: string, forward: Forward): Completer {
  return async (value, ctx, others) => {
    const params = { ref, argument: { name, value }, context: { arguments: { ...others } } };
    const { completion } = await forward({ method: "completion/complete", params }, ctx);
    const values = isObject(completion) && Array.isArray(completion.values) ? completion.values : [];
    return values.filter((each) => typeof each === "string");
  };
}

/** A schema that is shown and not applied: the server applies its own, of which this is the description. */
function asItIs(schema: JsonSchema): SchemaLike {
  return {
    "~standard": {
      version: 1,
      vendor: "bulkhead-mcp",
      validate: (value: unknown) => ({ value }),
      jsonSchema: { input: () => ({ ...schema }), output: () => ({ ...schema }) },
    },
  };
}

function isIcon(value: unknown): value is Icon {
  return isObject(value) && typeof value.src === "string";
}

function isMessage(value: unknown): value is PromptMessage {
  return (
    isObject(value) &&
    (value.role === "user" || value.role === "assistant") &&
    isObject(value.content) &&
    typeof value.content.type === "string"
  );
}
