/** A server as its user has it: to mount, or to let it listen. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { BulkheadOptions } from "./bulkhead-options.ts";
import { compileCatalog } from "./catalog/catalog.ts";
import { systemClock } from "./core/clock.ts";
import { Fault } from "./core/fault.ts";
import { refuse } from "./core/refusal.ts";
import type { Development } from "./development-access.ts";
import { createOperatorGate } from "./identity/operator-gate.ts";
import { parsePrivateHosts } from "./identity/private-hosts.ts";
import { createSecretBox } from "./identity/secret-box.ts";
import { type Instance, startInstance } from "./instance.ts";
import { answerRefusal } from "./protocol/answers.ts";
import { isLoopback } from "./protocol/host-guard.ts";
import type { Change } from "./tenancy/client.ts";

/** A server: mount `handler`, or let it `listen` by itself. */
export interface Bulkhead {
  /** For `http.createServer`, Express, Fastify …: answers every request it is given. Waits for {@link Bulkhead.ready}. */
  readonly handler: (req: IncomingMessage, res: ServerResponse) => void;
  /**
   * Resolves when the server can serve.
   * @throws Fault with what keeps it from that: `database_unavailable`, `database_not_migrated`, `isolation_broken` …
   */
  ready(): Promise<void>;
  /** Listens on an address of this machine. Resolves with the port. */
  listen(port?: number, host?: string): Promise<number>;
  /** Stops: no more requests, those under way are finished (at most `drainMs`), everything is written and closed. */
  close(): Promise<void>;
  /**
   * Tells everybody of a tenant who asked to be told that something has changed: on every instance, as `ctx.changed` does
   * inside a call. The first change of a while is told at once; what follows within 50 ms is told together after them, the
   * same change once. Of a tenant 20 different changes are told in 50 ms, and at most 1,000 wait for that.
   *
   * @param tenant its slug or its id.
   * @example
   * await bulkhead.announce("acme", { resource: "tickets://7" });
   * @throws Fault `tenant_not_found`; TypeError for what is no change.
   */
  announce(tenant: string, change: Change): Promise<void>;
  /** Puts something that broke outside any call on record: in the log and in the metrics. */
  reportFault(message: string, cause: unknown): void;
  /** In development mode: tokens and tenants; null otherwise. Only after {@link Bulkhead.ready}. */
  development(): Development | null;
}

/**
 * Builds a server. It begins to start at once; what goes wrong is told by `ready()` and `listen()`.
 *
 * @example
 * const bulkhead = createBulkhead({ server, databaseUrl, publicUrl: "https://mcp.example.com" });
 * await bulkhead.ready();
 * app.use(bulkhead.handler);
 * @throws Fault `server_invalid`, `schema_unrepresentable` or `setting_invalid`, at once.
 */
export function createBulkhead(options: BulkheadOptions): Bulkhead {
  const catalog = compileCatalog(options.server);
  const publicUrl = parsePublicUrl(options.publicUrl, options.mode ?? "production");
  // An instance keeps its options as long as it serves; these two would then stand in every dump of its memory.
  const { operatorToken, masterKey, ...instanceOptions } = options;
  const gate = createOperatorGate(operatorToken);
  const secrets = masterKey === undefined ? null : createSecretBox(masterKey);
  const clock = options.clock ?? systemClock;
  const privateHosts = parsePrivateHosts(options.privateHosts ?? []);
  const starting = startInstance(
    { ...instanceOptions, privateHosts },
    { catalog, publicUrl, gate, secrets, clock },
  );
  // Whoever awaits ready() or listen() hears of it; nobody may have asked yet.
  starting.catch(() => {});
  let running: Instance | null = null;
  starting.then(
    (started) => {
      running = started;
    },
    () => {},
  );
  let server: Server | null = null;
  let closing: Promise<void> | null = null;

  const handler = (req: IncomingMessage, res: ServerResponse): void => {
    if (running !== null) {
      running.handle(req, res);
      return;
    }
    starting.then(
      (started) => started.handle(req, res),
      () => answerRefusal(res, refuse("configuration_stale", { retryAfterMs: 1_000 }), { close: true }),
    );
  };

  return Object.freeze({
    handler,
    ready: async () => {
      await starting;
    },
    listen: async (port = 0, host = "127.0.0.1") => {
      await starting;
      server = createServer(
        {
          maxHeaderSize: 32_768,
          requestTimeout: 60_000,
          headersTimeout: 10_000,
          keepAliveTimeout: 65_000,
          // How often Node looks for what is past the two times above: by default every 30 s, so that a connection whose
          // headers never end would stay four times as long.
          connectionsCheckingInterval: 2_000,
        },
        handler,
      );
      return listenOn(server, port, host);
    },
    close: () => {
      closing ??= (async () => {
        const started = await starting.catch(() => null);
        started?.drain();
        const closed =
          server === null ? null : new Promise<void>((resolve) => server?.close(() => resolve()));
        server?.closeIdleConnections();
        await started?.finish();
        server?.closeAllConnections();
        await closed;
        await started?.shutDown();
      })();
      return closing;
    },
    announce: async (tenant: string, change: Change) => (await starting).announce(tenant, change),
    reportFault: (message: string, cause: unknown) => running?.reportFault(message, cause),
    development: () => running?.development ?? null,
  });
}

function parsePublicUrl(text: string, mode: "production" | "development"): URL {
  const fail = (why: string): never => {
    throw new Fault("setting_invalid", { detail: `The public URL ${why}.` });
  };
  if (!URL.canParse(text)) return fail("is not a URL");
  const url = new URL(text);
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "" || url.username !== "")
    fail("must have no path, query or user");
  const loopback = isLoopback(url.hostname);
  if (url.protocol !== "https:" && !(url.protocol === "http:" && loopback))
    fail("must begin with https, or be a loopback address");
  if (mode === "development" && !loopback) fail("must be a loopback address in development");
  return url;
}

function listenOn(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      reject(
        error.code === "EADDRINUSE"
          ? new Fault("port_taken", { detail: `It is ${host}:${port}.`, cause: error })
          : error,
      );
    });
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}
