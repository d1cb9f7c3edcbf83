import type { Catalog } from "../catalog/catalog.ts";
import { TASKS_EXTENSION } from "./client-abilities.ts";
import { complete, type Performed } from "./performed.ts";
import { SUPPORTED_VERSIONS } from "./revisions.ts";

/** How long a client may keep what it discovered, in milliseconds. */
const TTL_MS = 60_000;

/** What this server can do, in the words that both generations have for it. */
export function capabilitiesOf(catalog: Catalog): Readonly<Record<string, unknown>> {
  const completes =
    catalog.prompts.some(({ definition }) =>
      definition.arguments?.some(({ complete: completer }) => completer !== undefined),
    ) || catalog.resources.some(({ definition }) => definition.complete !== undefined);
  return {
    ...(catalog.tools.length > 0 ? { tools: { listChanged: true } } : {}),
    ...(catalog.resources.length > 0 ? { resources: { subscribe: true, listChanged: true } } : {}),
    ...(catalog.prompts.length > 0 ? { prompts: { listChanged: true } } : {}),
    ...(completes ? { completions: {} } : {}),
    logging: {},
  };
}

/** The result of `server/discover` (2026-07-28, server, "Discovery"). */
export function discover(catalog: Catalog): Performed {
  const { instructions } = catalog.server;
  const hasTasks = catalog.tools.some(({ definition }) => definition.task !== undefined);
  return complete({
    supportedVersions: SUPPORTED_VERSIONS,
    capabilities: {
      ...capabilitiesOf(catalog),
      ...(hasTasks ? { extensions: { [TASKS_EXTENSION]: {} } } : {}),
    },
    ...(instructions === undefined ? {} : { instructions }),
    ttlMs: TTL_MS,
    cacheScope: "private",
  });
}
