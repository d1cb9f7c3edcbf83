import { isObject } from "./sdk-conversation.ts";
import type { SdkServer } from "./sdk-server.ts";

/**
 * Sees when a server object's handlers of a method have ended. The SDK says nothing more of a request that was cancelled,
 * so this is seen where handlers are called: in the table that the SDK keeps of them. It is the SDK's own affair, and has
 * had this name in both of its generations; where there is none, handlers are taken to end with their requests.
 *
 * @returns what resolves when those that were called have ended.
 */
export function watchHandlers(server: SdkServer, method: string): () => Promise<void> {
  const running = new Set<Promise<unknown>>();
  const table = tableOf(server);
  const handler: unknown = table?.get(method);
  if (table !== null && typeof handler === "function") {
    table.set(method, (...given: unknown[]): unknown => {
      const result: unknown = Reflect.apply(handler, undefined, given);
      const run = Promise.resolve(result).catch(() => {});
      running.add(run);
      run.then(() => running.delete(run));
      return result;
    });
  }
  return async () => {
    while (running.size > 0) await Promise.all(running);
  };
}

/** Handlers by method: of a `McpServer` those of the `Server` that it has. */
function tableOf(server: unknown): Map<unknown, unknown> | null {
  if (!isObject(server)) return null;
  const { _requestHandlers: table } = isObject(server.server) ? server.server : server;
  return table instanceof Map ? table : null;
}
