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
 *   does not have, or the factory gives the same object again.
 */
export async function adoptSdkServer(
  make: SdkServerFactory,
  options: AdoptOptions = {},
): Promise<ServerDefinition> {
  const factory = anewEachTime(make);
  const listing = await listSdkServer(factory, { name: "bulkhead-mcp", version: "1" });
  // A factory that makes one object for all is told of at start, and not by its first caller.
  await (await factory({ era: "legacy" })).close();
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

/** What one caller left in a server object must not be there for another. */
function anewEachTime(make: SdkServerFactory): SdkServerFactory {
  const used = new WeakSet<SdkServer>();
  return async (context) => {
    const server = await make(context);
    if (used.has(server))
      throw new Fault("server_invalid", {
        detail: "The factory of the adopted server gave the same server object again.",
        remedy: "Make the server object inside the factory.",
      });
    used.add(server);
    return server;
  };
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
  const settingOf = <T>(option: string, setting: PerEntry<T> | undefined, entry: SdkEntry): T | undefined => {
    if (setting === undefined) return undefined;
    if (typeof setting === "function") return setting(entry);
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
          throw new Fault("server_invalid", {
            detail: `${option} names ${JSON.stringify(name)}, which the adopted server does not have.`,
          });
      }
    },
  };
}
