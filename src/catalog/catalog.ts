import { Fault } from "../core/fault.ts";
import { parseSlug } from "../core/ids.ts";
import {
  DEFAULT_HIERARCHY,
  isPermission,
  type PermissionHierarchy,
  parseHierarchy,
} from "../core/permission.ts";
import type {
  PromptDefinition,
  ResourceDefinition,
  ServerDefinition,
  ToolDefinition,
  Visibility,
} from "./define.ts";
import { type ParameterHeader, parameterHeaders } from "./parameter-headers.ts";
import { type CompiledSchema, type CompileSchema, createSchemaCompiler } from "./schemas.ts";
import { compileUri, type UriPattern } from "./uri-template.ts";

/** A tool, checked and compiled. */
export interface CatalogTool {
  readonly definition: ToolDefinition;
  readonly input: CompiledSchema;
  readonly output: CompiledSchema | null;
  readonly headers: readonly ParameterHeader[];
  readonly readOnly: boolean;
  /** The entry of tools/list. */
  readonly listing: Readonly<Record<string, unknown>>;
}

export interface CatalogResource {
  readonly definition: ResourceDefinition;
  readonly pattern: UriPattern;
  readonly listing: Readonly<Record<string, unknown>>;
}

export interface CatalogPrompt {
  readonly definition: PromptDefinition;
  readonly listing: Readonly<Record<string, unknown>>;
}

/** All that a server module defines, for all tenants, in the order of the module. Made once, at start. */
export interface Catalog {
  readonly server: ServerDefinition;
  readonly tools: readonly CatalogTool[];
  readonly resources: readonly CatalogResource[];
  readonly prompts: readonly CatalogPrompt[];
  /** Every permission that some entry requires, sorted. */
  readonly permissions: readonly string[];
  /** Which permissions imply which others: the module's, or the default. */
  readonly hierarchy: PermissionHierarchy;
}

const NAME = /^[A-Za-z0-9_.-]{1,128}$/;
const NO_INPUT = Object.freeze({ type: "object", additionalProperties: false });

/**
 * Checks and compiles a server definition.
 * @throws Fault `server_invalid` (a name twice or malformed, an entry without a handler, a hierarchy of permissions by
 * which something would imply `admin` …) or `schema_unrepresentable`.
 */
export function compileCatalog(server: ServerDefinition): Catalog {
  if (!isText(server.name) || !isText(server.version))
    invalid("name and version of the server must be texts");
  const compileSchema = createSchemaCompiler();
  const tools = (server.tools ?? []).map((definition) => compileTool(definition, compileSchema));
  const resources = (server.resources ?? []).map(compileResource);
  const prompts = (server.prompts ?? []).map(compilePrompt);
  refuseTwice(
    "tools",
    tools.map((tool) => tool.definition.name),
  );
  refuseTwice(
    "resources",
    resources.map((resource) => resource.definition.uri),
  );
  refuseTwice(
    "prompts",
    prompts.map((prompt) => prompt.definition.name),
  );
  const entries: Visibility[] = [...tools, ...resources, ...prompts].map((entry) => entry.definition);
  const permissions = [
    ...new Set(entries.flatMap((entry) => (entry.requires === undefined ? [] : [entry.requires]))),
  ].sort();
  return Object.freeze({
    server,
    tools,
    resources,
    prompts,
    permissions,
    hierarchy: compileHierarchy(server.permissions),
  });
}

function compileHierarchy(stated: unknown): PermissionHierarchy {
  if (stated === undefined) return DEFAULT_HIERARCHY;
  if (typeof stated !== "object" || stated === null || Array.isArray(stated))
    invalid("permissions is not an object");
  const unknown = Object.keys(stated).find((key) => key !== "implies");
  if (unknown !== undefined) invalid(`permissions has no member ${JSON.stringify(unknown)}`);
  const implies = "implies" in stated ? stated.implies : undefined;
  return implies === undefined ? DEFAULT_HIERARCHY : parseHierarchy(implies);
}

function compileTool(definition: ToolDefinition, compileSchema: CompileSchema): CatalogTool {
  const where = `tool ${JSON.stringify(definition.name)}`;
  checkName(definition.name, where);
  if (!isText(definition.description)) invalid(`${where} has no description`);
  if (typeof definition.run !== "function") invalid(`${where} has no function run`);
  checkVisibility(definition, where);
  checkTask(definition.task, where);
  const input = compileSchema(definition.input ?? NO_INPUT, "input", `the input of ${where}`);
  if (input.json.type !== "object") invalid(`the input of ${where} is not an object`);
  const output =
    definition.output === undefined
      ? null
      : compileSchema(definition.output, "output", `the output of ${where}`);
  return Object.freeze({
    definition,
    input,
    output,
    headers: parameterHeaders(input.json, where),
    readOnly: definition.annotations?.readOnlyHint === true,
    listing: withoutUndefined({
      name: definition.name,
      title: definition.title,
      description: definition.description,
      icons: definition.icons,
      inputSchema: input.json,
      outputSchema: output?.json,
      annotations: definition.annotations,
      _meta: definition._meta,
    }),
  });
}

function compileResource(definition: ResourceDefinition): CatalogResource {
  const where = `resource ${JSON.stringify(definition.uri)}`;
  const pattern = compileUri(definition.uri);
  if (!isText(definition.name)) invalid(`${where} has no name`);
  if (typeof definition.read !== "function") invalid(`${where} has no function read`);
  checkVisibility(definition, where);
  return Object.freeze({
    definition,
    pattern,
    listing: withoutUndefined({
      [pattern.isTemplate ? "uriTemplate" : "uri"]: definition.uri,
      name: definition.name,
      title: definition.title,
      description: definition.description,
      icons: definition.icons,
      mimeType: definition.mimeType,
      size: definition.size,
      annotations: definition.annotations,
      _meta: definition._meta,
    }),
  });
}

function compilePrompt(definition: PromptDefinition): CatalogPrompt {
  const where = `prompt ${JSON.stringify(definition.name)}`;
  checkName(definition.name, where);
  if (typeof definition.get !== "function") invalid(`${where} has no function get`);
  const names = (definition.arguments ?? []).map((argument) => argument.name);
  if (!names.every(isText)) invalid(`${where} has an argument without a name`);
  refuseTwice(`arguments of ${where}`, names);
  checkVisibility(definition, where);
  return Object.freeze({
    definition,
    listing: withoutUndefined({
      name: definition.name,
      title: definition.title,
      description: definition.description,
      icons: definition.icons,
      arguments: definition.arguments?.map(({ name, title, description, required }) =>
        withoutUndefined({ name, title, description, required }),
      ),
      _meta: definition._meta,
    }),
  });
}

function checkName(name: unknown, where: string): void {
  if (typeof name !== "string" || !NAME.test(name))
    invalid(`${where}: a name is 1 to 128 of A-Z, a-z, 0-9, "_", "-" and "."`);
}

/** Bounds of what a task definition says, in milliseconds. */
const TTL_MS = { least: 1_000, most: 30 * 86_400_000 };
const POLL_MS = { least: 10, most: 3_600_000 };

function checkTask(task: ToolDefinition["task"], where: string): void {
  if (task === undefined) return;
  const { support, ttlMs, pollIntervalMs, rerun, before } = task;
  if (support !== "always" && support !== "preferred")
    invalid(`${where}: task.support is neither "always" nor "preferred"`);
  checkMilliseconds(ttlMs, TTL_MS, `${where}: task.ttlMs`);
  checkMilliseconds(pollIntervalMs, POLL_MS, `${where}: task.pollIntervalMs`);
  if (rerun !== undefined && typeof rerun !== "boolean") invalid(`${where}: task.rerun is not true or false`);
  if (before !== undefined && typeof before !== "function") invalid(`${where}: task.before is no function`);
}

function checkMilliseconds(
  value: unknown,
  { least, most }: { readonly least: number; readonly most: number },
  what: string,
): void {
  if (value === undefined) return;
  if (!Number.isSafeInteger(value) || Number(value) < least || Number(value) > most)
    invalid(`${what} is no whole number from ${least} to ${most}`);
}

function checkVisibility(entry: Visibility, where: string): void {
  const { requires, toolSet, tenants } = entry;
  if (requires !== undefined && !isPermission(requires)) invalid(`${where}: requires is not a scope`);
  if (toolSet !== undefined && !(typeof toolSet === "string" && NAME.test(toolSet)))
    invalid(`${where}: toolSet is not a name`);
  if (tenants !== undefined && !Array.isArray(tenants)) invalid(`${where}: tenants is not a list of slugs`);
  for (const slug of tenants ?? []) {
    if (typeof slug !== "string" || parseSlug(slug) === null)
      invalid(`${where}: ${JSON.stringify(slug)} is not a tenant's slug`);
  }
}

function refuseTwice(what: string, names: readonly string[]): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) invalid(`two ${what} are named ${JSON.stringify(name)}`);
    seen.add(name);
  }
}

function isText(value: unknown): boolean {
  return typeof value === "string" && value.length > 0;
}

function invalid(detail: string): never {
  throw new Fault("server_invalid", { detail: `${detail}.` });
}

function withoutUndefined(entry: Record<string, unknown>): Readonly<Record<string, unknown>> {
  return Object.freeze(Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined)));
}
