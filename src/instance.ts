/** One instance: builds the rooms, hands each its ports, and starts and stops what they make together. */
import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createAdminApi } from "./admin/admin-api.ts";
import { createAdminCallers } from "./admin/admin-callers.ts";
import { createRefusedMeanwhile } from "./admin/refused-meanwhile.ts";
import { createAuthentication } from "./authentication.ts";
import type { BulkheadOptions } from "./bulkhead-options.ts";
import type { Catalog } from "./catalog/catalog.ts";
import { createTenantViews } from "./catalog/tenant-view.ts";
import type { Clock } from "./core/clock.ts";
import { errorRow } from "./core/error-table.ts";
import type { BulkheadEvent } from "./core/event.ts";
import { every } from "./core/every.ts";
import { Fault } from "./core/fault.ts";
import { createIdSource, type Slug } from "./core/ids.ts";
import { refuse } from "./core/refusal.ts";
import { createAdministrationRepository } from "./data/administration-repository.ts";
import { createAuditRepository } from "./data/audit-repository.ts";
import { listenForConfiguration, notifyConfigurationChanged } from "./data/configuration-notifications.ts";
import { createConfigurationSource } from "./data/configuration-repository.ts";
import { connectionSettings, doorSettings } from "./data/connection-settings.ts";
import { checkDeployment } from "./data/deployment-check.ts";
import { removeExpired } from "./data/housekeeping.ts";
import { createInstanceRepository } from "./data/instance-repository.ts";
import { migrate } from "./data/migrate.ts";
import { createStore } from "./data/store.ts";
import { createSystemDoor } from "./data/system-door.ts";
import { createTenantClaims } from "./data/tenant-claims.ts";
import { createTenantConnections } from "./data/tenant-connections.ts";
import { createTenantDoor } from "./data/tenant-door.ts";
import { startDevelopment } from "./development.ts";
import type { Development } from "./development-access.ts";
import { createDispatch } from "./dispatch.ts";
import { createAccessPolicy } from "./identity/access-policy.ts";
import type { Caller } from "./identity/caller.ts";
import type { createOperatorGate } from "./identity/operator-gate.ts";
import { permissionsUnder } from "./identity/principal-of.ts";
import type { SecretBox } from "./identity/secret-box.ts";
import { createAddressLimiter } from "./limits/address-limiter.ts";
import { createConcurrencyLimiter } from "./limits/concurrency.ts";
import { createTenantRateLimiter } from "./limits/tenant-rate-limiter.ts";
import { administrativeFacts } from "./observe/audit-facts.ts";
import { createAuditTrail } from "./observe/audit-trail.ts";
import { createEventHub } from "./observe/event-hub.ts";
import { createLogLines } from "./observe/log-lines.ts";
import { createMetrics } from "./observe/metrics.ts";
import { createRefusalSummary } from "./observe/refusal-summary.ts";
import { createPipeline } from "./pipeline.ts";
import { answerRefusal } from "./protocol/answers.ts";
import { createConfigurationFollower } from "./protocol/configuration-follower.ts";
import { createHostGuard } from "./protocol/host-guard.ts";
import { createListenOperation } from "./protocol/listen-operation.ts";
import { createListenStreams } from "./protocol/listen-streams.ts";
import { createOpenWork } from "./protocol/open-work.ts";
import { createOperationRunner } from "./protocol/operation-runner.ts";
import { createTenantDirectory } from "./tenancy/tenant-directory.ts";
import { VERSION } from "./version.ts";

/** Body limit of a tenant without one, in bytes. */
const MAX_BODY_BYTES = 4 * 1_048_576;
const BODY_TIMEOUT_MS = 15_000;
/** The global version of the configuration is polled this often … */
const POLL_MS = 500;
/** … and an instance that cannot read it for this long answers 503. */
const MAX_STALE_MS = 5_000;
const SUMMARY_MS = 5_000;
const HEARTBEAT_MS = 1_000;
const RECOVERY_MS = 2_000;
const SWEEP_MS = 60_000;
/** Open streams are looked at this often: how late the end of a credential can end one. */
const STREAMS_MS = 500;
const HOUSEKEEPING_MS = 10 * 60_000;

/** A server that has started. Stopping is three steps: take no more, wait for what runs, close everything. */
export interface Instance {
  handle(req: IncomingMessage, res: ServerResponse): void;
  drain(): void;
  reportFault(message: string, cause: unknown): void;
  finish(): Promise<void>;
  shutDown(): Promise<void>;
  readonly development: Development | null;
}

export async function startInstance(
  options: BulkheadOptions,
  given: {
    readonly catalog: Catalog;
    readonly publicUrl: URL;
    readonly gate: ReturnType<typeof createOperatorGate>;
    readonly secrets: SecretBox | null;
    readonly clock: Clock;
  },
): Promise<Instance> {
  const { catalog, publicUrl, gate, secrets, clock } = given;
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
        ? await startDevelopment({ mode, catalog, base, resourceOf, system, door, ids, clock, emit })
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

    const policy = createAccessPolicy(catalog.hierarchy, catalog.permissions);
    const views = createTenantViews({
      catalog,
      permits: (granted, required) => policy.decide(granted, required).allowed,
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
    // Apart from each other: what callers use up must not keep an administrator from revoking them.
    const rates = createTenantRateLimiter(clock);
    const adminRates = createTenantRateLimiter(clock);
    const proofRates = createTenantRateLimiter(clock);
    const addresses = createAddressLimiter(clock);
    let draining = false;
    const runner = createOperationRunner((snapshot, readOnly) => ({
      openSql: (signal) =>
        door.open(
          { tenantId: snapshot.id, readOnly, statementTimeoutMs: snapshot.limits.callTimeoutMs ?? 0 },
          signal,
        ),
      openStore: createStore,
      emit,
      now: clock.now,
    }));

    // What is open, and ends when the credential behind it does.
    const openWork = createOpenWork<Caller>();
    const { name, title, version } = catalog.server;
    const streams = createListenStreams({
      clock,
      views,
      serverInfo: JSON.stringify({ name, ...(title === undefined ? {} : { title }), version }),
    });
    const { authenticator, issuers } = createAuthentication({
      mode,
      clock,
      directory,
      system,
      resourceOf,
      catalogPermissions: catalog.permissions,
      proofRates,
      secrets,
      privateHosts: options.privateHosts ?? [],
    });
    const { stillHolds } = authenticator;
    const follower = createConfigurationFollower({
      current: directory.byId,
      openWork,
      stillHolds,
      streams,
      onFault: (cause) => tell("streams")(cause),
    });
    directory.onChange((tenantId) => follower.changed(tenantId));

    const pipeline = createPipeline({
      clock,
      ids,
      emit,
      resourceOf,
      addresses,
      directory,
      authenticator,
      role: { kind: "shared" },
      rates,
      concurrency: createConcurrencyLimiter(),
      catalog,
      views,
      policy,
      audit,
      runner,
      openWork,
      listening: createListenOperation({
        clock,
        ids,
        emit,
        audit,
        catalog,
        streams,
        current: directory.byId,
        stillHolds,
        grantedUnder: permissionsUnder,
      }),
      maxBodyBytes: MAX_BODY_BYTES,
      bodyTimeoutMs: BODY_TIMEOUT_MS,
      draining: () => draining,
    });

    const adminApi = !gate.configured
      ? null
      : createAdminApi({
          administration: createAdministrationRepository(system),
          authenticate: createAdminCallers({
            gate,
            authenticator,
            addresses,
            rates: adminRates,
          }),
          refusedMeanwhile: createRefusedMeanwhile({ current: directory.byId, stillHolds }),
          bodyTimeoutMs: BODY_TIMEOUT_MS,
          issuers,
          random: randomBytes,
          accessPorts: {
            policy,
            views,
            snapshotOf: directory.byName,
            scopesOfDemonstrationUser: development?.scopesOfDemonstrationUser ?? null,
          },
          development,
          ids,
          clock,
          emit,
          mcpUrlOf: resourceOf,
          afterChange: async () => {
            // First: an issuer that appears with its tenant is a change that the others are to hear of as well.
            await development?.refresh();
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
      every(HEARTBEAT_MS, () => instances.heartbeat(instanceId), tell("heartbeat")),
      every(
        RECOVERY_MS,
        () =>
          auditRepository.closeOrphans({
            runId: instanceId,
            deadAfterMs: options.instanceDeadAfterMs ?? 15_000,
            now: clock.now(),
          }),
        tell("recovery"),
      ),
      every(SUMMARY_MS, () => refusals.report(), tell("refusals")),
      every(
        SWEEP_MS,
        () => {
          for (const each of [rates, adminRates, proofRates]) each.sweep();
        },
        tell("rates"),
      ),
      every(
        STREAMS_MS,
        () => {
          streams.sweep();
          follower.retry();
        },
        tell("streams"),
      ),
      every(HOUSEKEEPING_MS, () => removeExpired(system), tell("housekeeping")),
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
      clock,
      emit,
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
          const operationId = ids.operation();
          emit({
            type: "fault",
            at: clock.now(),
            level: "error",
            where: "request",
            message: `The request ${operationId} failed outside its operation.`,
            cause,
          });
          const unavailable = cause instanceof Fault && errorRow(cause.code).http === 503;
          if (!res.headersSent)
            answerRefusal(
              res,
              unavailable
                ? refuse(cause.code, { retryAfterMs: 1_000 })
                : refuse("internal", { data: { operationId } }),
              { close: true },
            );
          else res.destroy();
        });
      },
      reportFault: (message, cause) =>
        emit({ type: "fault", at: clock.now(), level: "error", where: "process", message, cause }),
      drain() {
        draining = true;
        streams.endAll();
        emit({ type: "lifecycle", at: clock.now(), instanceId, phase: "draining" });
      },
      async finish() {
        if (underWay === 0) return;
        await new Promise<void>((resolve) => {
          const timer = setTimeout(() => {
            openWork.endAll(refuse("stopping", { retryAfterMs: 1_000 }));
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
        // What the hub still holds belongs into the summary, and the summary is an event again.
        hub.flush();
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
