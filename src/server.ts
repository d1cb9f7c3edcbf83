/** The composition root: builds the rooms, hands each its ports, and starts and stops what they make together. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdminApi } from "./admin/admin-api.ts";
import { type Catalog, compileCatalog } from "./catalog/catalog.ts";
import type { ServerDefinition } from "./catalog/define.ts";
import { createTenantViews } from "./catalog/tenant-view.ts";
import { type Clock, systemClock } from "./core/clock.ts";
import { errorRow } from "./core/error-table.ts";
import type { BulkheadEvent } from "./core/event.ts";
import { Fault } from "./core/fault.ts";
import { createIdSource, type Slug } from "./core/ids.ts";
import { refuse } from "./core/refusal.ts";
import { createAdministrationRepository } from "./data/administration-repository.ts";
import { createAuditRepository } from "./data/audit-repository.ts";
import { listenForConfiguration, notifyConfigurationChanged } from "./data/configuration-notifications.ts";
import { createConfigurationSource } from "./data/configuration-repository.ts";
import { connectionSettings, doorSettings } from "./data/connection-settings.ts";
import { checkDeployment } from "./data/deployment-check.ts";
import { createInstanceRepository } from "./data/instance-repository.ts";
import { migrate } from "./data/migrate.ts";
import { createStore } from "./data/store.ts";
import { createSystemDoor } from "./data/system-door.ts";
import { createTenantClaims } from "./data/tenant-claims.ts";
import { createTenantConnections } from "./data/tenant-connections.ts";
import { createTenantDoor } from "./data/tenant-door.ts";
import { type Development, startDevelopment } from "./development.ts";
import { createKeySets } from "./identity/key-sets.ts";
import { createOperatorGate } from "./identity/operator-gate.ts";
import { decideAccess } from "./identity/permissions.ts";
import { createTokenVerifier } from "./identity/token-verifier.ts";
import { createAddressLimiter } from "./limits/address-limiter.ts";
import { createConcurrencyLimiter } from "./limits/concurrency.ts";
import { createTenantRateLimiter } from "./limits/tenant-rate-limiter.ts";
import { administrativeFacts } from "./observe/audit-facts.ts";
import { createAuditTrail } from "./observe/audit-trail.ts";
import { createEventHub } from "./observe/event-hub.ts";
import { createLogLines } from "./observe/log-lines.ts";
import { createMetrics } from "./observe/metrics.ts";
import { createRefusalSummary } from "./observe/refusal-summary.ts";
import { createPipeline, type Pipeline } from "./pipeline.ts";
import { answerJson, answerRefusal } from "./protocol/answers.ts";
import { createHostGuard, isLoopback } from "./protocol/host-guard.ts";
import { route } from "./protocol/routes.ts";
import { createTenantDirectory } from "./tenancy/tenant-directory.ts";
import { VERSION } from "./version.ts";

/** Where log lines go: anything with a `write` of one line. */
export interface LogDestination {
  write(line: string): void;
}

export interface BulkheadOptions {
  /** What `defineServer` made. */
  readonly server: ServerDefinition;
  /**
   * PostgreSQL 15 or later, as its administrator: `postgres://user:password@host/database`. The password is also what the
   * passwords of Bulkhead's own roles are derived from.
   */
  readonly databaseUrl: string;
  /** The URL under which clients reach the server, without a path: resource identifiers are built from it. */
  readonly publicUrl: string;
  /** Opens the admin API and /metrics; without one the admin API is not there. At least 32 characters. */
  readonly operatorToken?: string;
  /** Further Host and Origin values to serve. */
  readonly hosts?: readonly string[];
  readonly origins?: readonly string[];
  /** Runs migrations before serving. Default false: `bulkhead migrate` does it. */
  readonly migrate?: boolean;
  /** Most connections to the database: of the tenant door and of the system door. Default 20 and 5. */
  readonly connections?: { readonly tenant?: number; readonly system?: number };
  /** Where log lines go. Default: standard error. */
  readonly log?: LogDestination;
  readonly logLevel?: "debug" | "info" | "warn" | "error" | "silent";
  /** Longest wait for operations under way when the server stops, in milliseconds. Default 10,000. */
  readonly drainMs?: number;
  /** After this long without a sign of life an instance counts as gone, in milliseconds. Default 15,000. */
  readonly instanceDeadAfterMs?: number;
  /** `development`: tokens without passwords; loopback only. Default `production`. */
  readonly mode?: "production" | "development";
  /**
   * Says that no other instance uses this database, so that what an earlier one left is taken up at once and not after
   * `instanceDeadAfterMs`.
   */
  readonly soleInstance?: boolean;
  readonly clock?: Clock;
}

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
  /** In development mode: tokens and tenants; null otherwise. Only after {@link Bulkhead.ready}. */
  development(): Development | null;
}

/** Body limit of a tenant without one, in bytes. */
const MAX_BODY_BYTES = 4 * 1_048_576;
const BODY_TIMEOUT_MS = 15_000;
/** DESIGN, "Configuration changes": one global version is polled this often … */
const POLL_MS = 500;
/** … and an instance that cannot read it for this long answers 503. */
const MAX_STALE_MS = 5_000;
const SUMMARY_MS = 5_000;
/** Verified tokens remembered. */
const TOKEN_CACHE = 20_000;

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
  const gate = createOperatorGate(options.operatorToken);
  const clock = options.clock ?? systemClock;
  const starting = start(options, { catalog, publicUrl, gate, clock });
  // Whoever awaits ready() or listen() hears of it; nobody may have asked yet.
  starting.catch(() => {});
  let running: Running | null = null;
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
        { maxHeaderSize: 32_768, requestTimeout: 60_000, headersTimeout: 10_000, keepAliveTimeout: 65_000 },
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
    development: () => running?.development ?? null,
  });
}

/** A server that has started. Stopping is three steps: take no more, wait for what runs, close everything. */
interface Running {
  handle(req: IncomingMessage, res: ServerResponse): void;
  drain(): void;
  finish(): Promise<void>;
  shutDown(): Promise<void>;
  readonly development: Development | null;
}

async function start(
  options: BulkheadOptions,
  given: {
    readonly catalog: Catalog;
    readonly publicUrl: URL;
    readonly gate: ReturnType<typeof createOperatorGate>;
    readonly clock: Clock;
  },
): Promise<Running> {
  const { catalog, publicUrl, gate, clock } = given;
  const mode = options.mode ?? "production";
  const ids = createIdSource(clock.now);
  const instanceId = ids.instance();
  const base = publicUrl.origin;
  const resourceOf = (slug: Slug | null): string => (slug === null ? `${base}/mcp` : `${base}/t/${slug}/mcp`);

  // Observing: one event, many readers.
  const metrics = createMetrics();
  const logLines = createLogLines({
    destination: options.log ?? process.stderr,
    instanceId,
    level: options.logLevel ?? "info",
  });
  const hub = createEventHub([
    logLines,
    metrics.consume,
    (event: BulkheadEvent) => refusals.consume(event),
    (event: BulkheadEvent) => recordAct(event),
  ]);
  const emit = hub.emit;

  // Data: the two doors.
  const admin = connectionSettings(options.databaseUrl);
  if (options.migrate === true) await migrate(admin, { mode, app: options.server.migrations });
  const system = createSystemDoor(doorSettings(admin, "bulkhead_system"), {
    connections: options.connections?.system ?? 5,
  });
  const closers: (() => Promise<void> | void)[] = [() => system.close()];
  const auditRepository = createAuditRepository(system);
  const audit = createAuditTrail({ store: auditRepository, runId: instanceId, emit, now: clock.now });
  const refusals = createRefusalSummary({ record: audit.record, emit });
  const recordAct = (event: BulkheadEvent): void => {
    if (event.type === "administrative") audit.record(administrativeFacts(event));
  };
  try {
    await checkDeployment(system, mode);
    const tenantSettings = doorSettings(admin, "bulkhead_tenant");
    const claims = createTenantClaims({ system, clock, instanceId });
    const door = createTenantDoor({
      settings: tenantSettings,
      connections: createTenantConnections({
        settings: tenantSettings,
        claims,
        clock,
        connections: options.connections?.tenant ?? 20,
        acquireTimeoutMs: 10_000,
      }),
    });
    closers.unshift(() => door.close());

    // This run of this instance.
    const instances = createInstanceRepository(system);
    await instances.register({ id: instanceId, mode, version: VERSION });
    if (options.soleInstance === true) await instances.stopAllOthers(instanceId);

    const development =
      mode === "development"
        ? await startDevelopment({ catalog, base, resourceOf, system, door, ids, clock, emit })
        : null;

    // Tenancy: configuration, kept current.
    const directory = createTenantDirectory({
      source: createConfigurationSource(system),
      clock,
      maxStaleMs: MAX_STALE_MS,
    });
    directory.onChange((tenantId, version) =>
      emit({ type: "configuration", at: clock.now(), tenantId, version }),
    );
    await directory.refresh();

    const views = createTenantViews({
      catalog,
      permits: (granted, required) => decideAccess(granted, required).allowed,
      onCut: (snapshot, what, defined, limit) =>
        emit({
          type: "fault",
          at: clock.now(),
          level: "warn",
          where: "catalog",
          tenantId: snapshot.id,
          message: `The tenant has ${defined} ${what}, its limit is ${limit}: it gets the first ${limit}.`,
        }),
    });
    const rates = createTenantRateLimiter(clock);
    const stopping = new AbortController();
    let draining = false;
    const pipeline = createPipeline({
      clock,
      ids,
      emit,
      resourceOf,
      addresses: createAddressLimiter(clock),
      directory,
      verifier: createTokenVerifier({
        clock,
        keySets: createKeySets({
          clock,
          allowLoopbackHttp: mode === "development",
          allowPrivateAddresses: mode === "development",
        }),
        cacheSize: TOKEN_CACHE,
      }),
      role: { kind: "shared" },
      rates,
      concurrency: createConcurrencyLimiter(),
      catalog,
      views,
      audit,
      portsFor: (snapshot, readOnly) => ({
        openSql: (signal) =>
          door.open(
            { tenantId: snapshot.id, readOnly, statementTimeoutMs: snapshot.limits.callTimeoutMs ?? 0 },
            signal,
          ),
        openStore: createStore,
        emit,
        now: clock.now,
      }),
      maxBodyBytes: MAX_BODY_BYTES,
      bodyTimeoutMs: BODY_TIMEOUT_MS,
      draining: () => draining,
      stopping: stopping.signal,
    });

    const adminApi = !gate.configured
      ? null
      : createAdminApi({
          administration: createAdministrationRepository(system),
          isOperator: gate.admits,
          ids,
          clock,
          emit,
          mcpUrlOf: resourceOf,
          afterChange: async () => {
            await notifyConfigurationChanged(system);
            await directory.refresh();
          },
        });

    // Time: what happens again and again.
    const tell = (where: string) => (cause: unknown) =>
      emit({
        type: "fault",
        at: clock.now(),
        level: "error",
        where,
        message: "A regular task failed; it is tried again.",
        cause,
      });
    const regular = [
      every(POLL_MS, () => directory.refresh(), tell("configuration")),
      every(1_000, () => instances.heartbeat(instanceId), tell("heartbeat")),
      every(
        5_000,
        () =>
          auditRepository.closeOrphans({
            runId: instanceId,
            deadAfterMs: options.instanceDeadAfterMs ?? 15_000,
            now: clock.now(),
          }),
        tell("recovery"),
      ),
      every(SUMMARY_MS, () => refusals.report(), tell("refusals")),
      every(60_000, () => rates.sweep(), tell("rates")),
    ];
    const notifications = listenForConfiguration(doorSettings(admin, "bulkhead_system"), () => {
      directory.refresh().catch(tell("configuration"));
    });
    emit({
      type: "lifecycle",
      at: clock.now(),
      instanceId,
      phase: "started",
      detail: `bulkhead ${VERSION} serves ${options.server.name} in ${mode} mode`,
    });

    let underWay = 0;
    let idle: (() => void) | null = null;
    const guard = createHostGuard({ publicUrl, hosts: options.hosts ?? [], origins: options.origins ?? [] });
    const dispatch = createDispatch({
      pipeline,
      guard,
      adminApi,
      development,
      gate,
      metrics: metricsPage,
      ready: () => !draining && directory.isFresh(),
      open: mode === "development",
    });
    async function metricsPage(): Promise<{ type: string; text: string }> {
      hub.flush();
      return { type: metrics.contentType, text: await metrics.text() };
    }

    return {
      development,
      handle(req, res) {
        underWay++;
        res.once("close", () => {
          underWay--;
          if (underWay === 0) idle?.();
        });
        dispatch(req, res).catch((cause: unknown) => {
          emit({
            type: "fault",
            at: clock.now(),
            level: "error",
            where: "request",
            message: "A request failed outside its operation.",
            cause,
          });
          const unavailable = cause instanceof Fault && errorRow(cause.code).http === 503;
          if (!res.headersSent)
            answerRefusal(
              res,
              unavailable ? refuse(cause.code, { retryAfterMs: 1_000 }) : refuse("internal"),
              { close: true },
            );
          else res.destroy();
        });
      },
      drain() {
        draining = true;
        emit({ type: "lifecycle", at: clock.now(), instanceId, phase: "draining" });
      },
      async finish() {
        if (underWay === 0) return;
        await new Promise<void>((resolve) => {
          const timer = setTimeout(() => {
            stopping.abort(new Fault("stopping"));
            // What was interrupted still writes its outcome and its answer.
            setTimeout(resolve, 500);
          }, options.drainMs ?? 10_000);
          idle = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      },
      async shutDown() {
        for (const task of regular) task.stop();
        await notifications.close();
        refusals.report();
        hub.flush();
        await audit.close();
        await instances.stopped(instanceId).catch(tell("heartbeat"));
        for (const close of closers) await close();
        emit({ type: "lifecycle", at: clock.now(), instanceId, phase: "stopped" });
        hub.close();
      },
    };
  } catch (error) {
    for (const close of closers) await close();
    hub.close();
    throw error;
  }
}

/** Sends each request where its address says. */
function createDispatch(to: {
  readonly pipeline: Pipeline;
  readonly guard: ReturnType<typeof createHostGuard>;
  readonly adminApi: ReturnType<typeof createAdminApi> | null;
  readonly development: Development | null;
  readonly gate: ReturnType<typeof createOperatorGate>;
  readonly metrics: () => Promise<{ readonly type: string; readonly text: string }>;
  readonly ready: () => boolean;
  /** True where /metrics needs no token: on loopback in development. */
  readonly open: boolean;
}): (req: IncomingMessage, res: ServerResponse) => Promise<void> {
  return async (req, res) => {
    // In a framework that strips a mount path, originalUrl has the whole.
    const target = req.url ?? "/";
    const where = route(target);
    // Probes come by address, with any Host: they say nothing that is worth guarding.
    if (where.kind === "health") {
      answerJson(res, 200, JSON.stringify({ status: "ok", version: VERSION }));
      return;
    }
    if (where.kind === "ready") {
      const ready = to.ready();
      answerJson(res, ready ? 200 : 503, JSON.stringify({ status: ready ? "ready" : "not_ready" }));
      return;
    }
    const refused = to.guard.check(req.headers);
    if (refused !== null) {
      answerRefusal(res, refused, { close: true });
      return;
    }
    switch (where.kind) {
      case "mcp":
        return to.pipeline.serveMcp(req, res, where.slug);
      case "metadata":
        return to.pipeline.serveMetadata(req, res, where.slug);
      case "metrics": {
        if (!to.open && !to.gate.admits(req.headers.authorization)) {
          answerJson(res, 401, JSON.stringify({ code: "operator_token_required" }), {
            "www-authenticate": "Bearer",
          });
          return;
        }
        const { type, text } = await to.metrics();
        res.writeHead(200, { "content-type": type, "cache-control": "no-store" }).end(text);
        return;
      }
      case "admin":
        if (to.adminApi !== null) return to.adminApi.handle(req, res);
        answerRefusal(res, refuse("route_unknown"), { close: true });
        return;
      case "unknown":
        if (to.development?.authorizationServer.handle(req, res) === true) return;
        answerRefusal(res, refuse("route_unknown"), { close: true });
        return;
    }
  };
}

/** Runs `task` again and again, never twice at once. */
function every(
  milliseconds: number,
  task: () => unknown,
  onError: (cause: unknown) => void,
): { stop(): void } {
  let busy = false;
  const timer = setInterval(async () => {
    if (busy) return;
    busy = true;
    try {
      await task();
    } catch (error) {
      onError(error);
    } finally {
      busy = false;
    }
  }, milliseconds);
  return { stop: () => clearInterval(timer) };
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
