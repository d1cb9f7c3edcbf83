import { Fault } from "../core/fault.ts";
import { defineServer, type ServerDefinition, type Visibility } from "./define.ts";
import { callSdkServer } from "./sdk-call.ts";
import { isObject } from "./sdk-conversation.ts";
import {
  type DefinitionParts,
  described,
  type EntrySettings,
  promptOf,
  resourceOf,
  text,
  toolOf,
} from "./sdk-definitions.ts";
import { listSdkServer, type SdkListing } from "./sdk-listing.ts";
import type { SdkServer, SdkServerFactory } from "./sdk-server.ts";

/** Something that an adopted server lists. */
export interface SdkEntry {
  readonly kind: "tool" | "resource" | "prompt";
  readonly name: string;
  /** Of a resource: its URI or its template. */
  readonly uri?: string;
}

/**
 * A setting for some of the entries: by name, for resources by URI or template as well, or a function that is asked for
 * each.
 */
export type PerEntry<T> = Readonly<Record<string, T>> | ((entry: SdkEntry) => T | undefined);

/** What the server itself cannot say. Members not explained here are those of {@link ServerDefinition}. */
export interface AdoptOptions extends Pick<ServerDefinition, "permissions" | "migrations" | "development"> {
  /** Default: as the server calls itself. */
  readonly name?: string;
  readonly version?: string;
  /** See {@link Visibility}. What a record names and the server does not have is refused. */
  readonly requires?: PerEntry<string>;
  readonly toolSet?: PerEntry<string>;
  readonly tenants?: PerEntry<readonly string[]>;
  /** Whether a tool changes nothing: default as its `readOnlyHint` says. What may change something is audited before it runs. */
  readonly readOnly?: PerEntry<boolean>;
}

/**
 * Hosts a server that was written with the official SDK, unchanged: `McpServer` or `Server` of `@modelcontextprotocol/sdk`
 * 1.x, or a factory for the HTTP handler of `@modelcontextprotocol/server` 2.x. The factory makes a server object for every
 * call, which serves that call alone. What it registers is asked for once, when this is called.
 *
 * @example
 * import { adoptSdkServer } from "bulkhead-mcp";
 * import { buildServer } from "./build-server.ts";
 * export default await adoptSdkServer(buildServer, { requires: { "delete-note": "notes:write" } });
 * @throws Fault `module_failed` where the server does not say what it has; `server_invalid` where an option names what it
 *   does not have, or the factory gives the same object again, or none. What the factory throws itself.
 */
export async function adoptSdkServer(
  make: SdkServerFactory,
  options: AdoptOptions = {},
): Promise<ServerDefinition> {
  checkOptions(options);
  const factory = anewEachTime(make);
  const listing = await withinLimit(async (signal) => {
    const listed = await listSdkServer(factory, { name: "bulkhead-mcp", version: "1" }, signal);
    // A factory that makes one object for all is told of at start, and not by its first caller.
    await (await factory({ era: "legacy" })).close();
    return listed;
  });
  const { serverInfo, instructions } = listing;
  const { permissions, migrations, development } = options;
  const websiteUrl = text(serverInfo.websiteUrl);
  const description = text(serverInfo.description);
  return defineServer({
    ...described({ title: serverInfo.title, icons: serverInfo.icons }),
    name: options.name ?? text(serverInfo.name) ?? "adopted",
    version: options.version ?? text(serverInfo.version) ?? "0",
    ...(description === undefined ? {} : { description }),
    ...(websiteUrl === undefined ? {} : { websiteUrl }),
    ...(instructions === undefined ? {} : { instructions }),
    ...entriesOf(listing, options, {
      forward: (request, ctx) => callSdkServer(factory, request, ctx),
      completes: listing.completes,
    }),
    ...(permissions === undefined ? {} : { permissions }),
    ...(migrations === undefined ? {} : { migrations }),
    ...(development === undefined ? {} : { development }),
  });
}

/** How long a server may take until it has said what it has, in milliseconds: one that waits for ever would be waited for. */
const LIMIT_MS = 30_000;

async function withinLimit<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const over = new AbortController();
  const passed = new Promise<never>((_resolve, reject) => {
    over.signal.addEventListener("abort", () => reject(over.signal.reason));
  });
  const tooLong = new Fault("module_failed", {
    detail: `The adopted server did not say what it has within ${LIMIT_MS / 1_000} seconds.`,
    remedy: "Have the factory give a server object that answers tools/list and the like.",
  });
  // It keeps the process running: one that has nothing else to wait for would end without a word.
  const timer = setTimeout(() => over.abort(tooLong), LIMIT_MS);
  try {
    return await Promise.race([work(over.signal), passed]);
  } finally {
    clearTimeout(timer);
  }
}

/** What one caller left in a server object must not be there for another. */
function anewEachTime(make: SdkServerFactory): SdkServerFactory {
  if (typeof make !== "function")
    throw new Fault("server_invalid", {
      detail: "adoptSdkServer takes the function that makes the server object.",
      remedy: "Give it the function itself, and not what it gives: adoptSdkServer(buildServer).",
    });
  const used = new WeakSet<SdkServer>();
  return async (context) => {
    const server: unknown = await make(context);
    if (!isServer(server))
      throw new Fault("server_invalid", {
        detail: "The factory of the adopted server gave nothing with the methods connect and close.",
        remedy: "Return a McpServer or a Server of the official SDK from it.",
      });
    if (used.has(server))
      throw new Fault("server_invalid", {
        detail: "The factory of the adopted server gave the same server object again.",
        remedy: "Make the server object inside the factory.",
      });
    used.add(server);
    return server;
  };
}

function isServer(value: unknown): value is SdkServer {
  return isObject(value) && typeof value.connect === "function" && typeof value.close === "function";
}

/** Options by entry, each with what it may say of one. What they permit is checked as in any server. */
const PER_ENTRY = {
  requires: isText,
  toolSet: isText,
  tenants: Array.isArray,
  readOnly: (value: unknown) => typeof value === "boolean",
} satisfies Readonly<Record<string, (value: unknown) => boolean>>;

const OPTIONS: ReadonlySet<string> = new Set([
  ...Object.keys(PER_ENTRY),
  "name",
  "version",
  "permissions",
  "migrations",
  "development",
]);

/** Modules need not be of TypeScript: an option that says nothing would leave open what it was to close. */
function checkOptions(options: AdoptOptions): void {
  const stranger = Object.keys(options).find((name) => !OPTIONS.has(name));
  if (stranger !== undefined) invalid(`adoptSdkServer has no option ${JSON.stringify(stranger)}`);
  for (const [option, isRight] of Object.entries(PER_ENTRY)) {
    const setting: unknown = Object.entries(options).find(([name]) => name === option)?.[1];
    if (setting === undefined || typeof setting === "function") continue;
    if (!isObject(setting)) invalid(`${option} is neither a record by name nor a function`);
    const wrong = Object.entries(setting).find(([, value]) => !isRight(value));
    if (wrong !== undefined)
      invalid(`${option} has a value for ${JSON.stringify(wrong[0])} that it cannot have`);
  }
}

function isText(value: unknown): boolean {
  return typeof value === "string" && value !== "";
}

function invalid(detail: string): never {
  throw new Fault("server_invalid", { detail: `${detail}.` });
}

function entriesOf(
  listing: SdkListing,
  options: AdoptOptions,
  parts: DefinitionParts,
): Pick<ServerDefinition, "tools" | "resources" | "prompts"> {
  const read = settingsOf(options);
  const nameOf = (entry: Readonly<Record<string, unknown>>): string => text(entry.name) ?? "";
  const entries = {
    tools: listing.tools.map((entry) =>
      toolOf(entry, read.next({ kind: "tool", name: nameOf(entry) }), parts),
    ),
    resources: [...listing.resources, ...listing.resourceTemplates].map((entry) => {
      const uri = text(entry.uriTemplate) ?? text(entry.uri) ?? "";
      return resourceOf(entry, read.next({ kind: "resource", name: nameOf(entry), uri }), parts);
    }),
    prompts: listing.prompts.map((entry) =>
      promptOf(entry, read.next({ kind: "prompt", name: nameOf(entry) }), parts),
    ),
  };
  read.end();
  return entries;
}

/** What a function says of an entry. Nothing is `undefined` alone: a promise, for one, is no permission. */
function said<T>(option: keyof typeof PER_ENTRY, { name }: SdkEntry, value: T | undefined): T | undefined {
  if (value !== undefined && !PER_ENTRY[option](value))
    invalid(`${option} has a value for ${JSON.stringify(name)} that it cannot have`);
  return value;
}

/** The settings of each entry, and at the end whether there were settings for none. */
function settingsOf(options: AdoptOptions): {
  next(entry: SdkEntry): EntrySettings;
  end(): void;
} {
  const unused = new Map<string, Set<string>>();
  for (const option of ["requires", "toolSet", "tenants", "readOnly"] as const) {
    const setting = options[option];
    if (isObject(setting)) unused.set(option, new Set(Object.keys(setting)));
  }
  const settingOf = <T>(
    option: keyof typeof PER_ENTRY,
    setting: PerEntry<T> | undefined,
    entry: SdkEntry,
  ): T | undefined => {
    if (setting === undefined) return undefined;
    if (typeof setting === "function") return said(option, entry, setting(entry));
    const key = [entry.uri, entry.name].find((name) => name !== undefined && Object.hasOwn(setting, name));
    if (key === undefined) return undefined;
    unused.get(option)?.delete(key);
    return setting[key];
  };
  return {
    next(entry) {
      const requires = settingOf("requires", options.requires, entry);
      const toolSet = settingOf("toolSet", options.toolSet, entry);
      const tenants = settingOf("tenants", options.tenants, entry);
      const visibility: Visibility = {
        ...(requires === undefined ? {} : { requires }),
        ...(toolSet === undefined ? {} : { toolSet }),
        ...(tenants === undefined ? {} : { tenants }),
      };
      return { visibility, readOnly: settingOf("readOnly", options.readOnly, entry) };
    },
    // A misspelt name would leave what it means open to everybody.
    end() {
      for (const [option, names] of unused) {
        const [name] = names;
        if (name !== undefined)
          invalid(`${option} names ${JSON.stringify(name)}, which the adopted server does not have`);
      }
    },
  };
}
