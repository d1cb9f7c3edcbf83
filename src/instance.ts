/** One instance: builds the rooms, hands each its ports, and starts and stops what they make together. */
import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { createAdminApi } from "./admin/admin-api.ts";
import { createAdminCallers } from "./admin/admin-callers.ts";
import { createRefusedMeanwhile } from "./admin/refused-meanwhile.ts";
import { createAuthentication } from "./authentication.ts";
import type { BulkheadOptions } from "./bulkhead-options.ts";
import type { Catalog } from "./catalog/catalog.ts";
import { createTenantViews } from "./catalog/tenant-view.ts";
import type { Clock } from "./core/clock.ts";
import type { BulkheadEvent } from "./core/event.ts";
import { Fault } from "./core/fault.ts";
import { createIdSource, parseSlug, parseTenantId, type Slug } from "./core/ids.ts";
import { refuse } from "./core/refusal.ts";
import { createAdministrationRepository } from "./data/administration-repository.ts";
import { createAuditRepository } from "./data/audit-repository.ts";
import { notifyConfigurationChanged } from "./data/configuration-notifications.ts";
import { createConfigurationSource } from "./data/configuration-repository.ts";
import { connectionSettings, doorSettings } from "./data/connection-settings.ts";
import { checkDeployment } from "./data/deployment-check.ts";
import { removeExpired, removePassed } from "./data/housekeeping.ts";
import { createInstanceRepository } from "./data/instance-repository.ts";
import { migrate } from "./data/migrate.ts";
import { listenForNotifications } from "./data/notifications.ts";
import { createSignalRepository } from "./data/signal-repository.ts";
import { createSignals } from "./data/signals.ts";
import { createStateKeys } from "./data/state-keys.ts";
import { createStore } from "./data/store.ts";
import { createSystemDoor } from "./data/system-door.ts";
import { createTenantClaims } from "./data/tenant-claims.ts";
import { createTenantConnections } from "./data/tenant-connections.ts";
import { createTenantDoor } from "./data/tenant-door.ts";
import { createDemonstration } from "./demonstration.ts";
import { startDevelopment } from "./development.ts";
import type { Development } from "./development-access.ts";
import { createDispatch } from "./dispatch.ts";
import { createAccessPolicy } from "./identity/access-policy.ts";
import type { createOperatorGate } from "./identity/operator-gate.ts";
import type { SecretBox } from "./identity/secret-box.ts";
import { createAddressLimiter } from "./limits/address-limiter.ts";
import { createConcurrencyLimiter } from "./limits/concurrency.ts";
import { createTenantRateLimiter } from "./limits/tenant-rate-limiter.ts";
import { type LocalClient, type LocalConnection, openLocalConnection } from "./local-connection.ts";
import { administrativeFacts } from "./observe/audit-facts.ts";
import { createAuditTrail } from "./observe/audit-trail.ts";
import { createEventHub } from "./observe/event-hub.ts";
import { createLogLines } from "./observe/log-lines.ts";
import { createMetrics } from "./observe/metrics.ts";
import { createRefusalSummary } from "./observe/refusal-summary.ts";
import { createPipeline } from "./pipeline.ts";
import { createHostGuard } from "./protocol/host-guard.ts";
import { startRegularTasks } from "./regular-tasks.ts";
import { createRequestHandler } from "./request-handler.ts";
import type { Change } from "./tenancy/client.ts";
import { createTenantDirectory } from "./tenancy/tenant-directory.ts";
import { VERSION } from "./version.ts";
import { createWire } from "./wire.ts";

/** Body limit of a tenant without one, in bytes. */
const MAX_BODY_BYTES = 4 * 1_048_576;
const BODY_TIMEOUT_MS = 15_000;
/** An instance that cannot read the version of the configuration for this long answers 503. */
const MAX_STALE_MS = 5_000;

/** A server that has started. Stopping is three steps: take no more, wait for what runs, close everything. */
export interface Instance {
  handle(req: IncomingMessage, res: ServerResponse): void;
  drain(): void;
  /** @throws Fault `tenant_not_found`. */
  announce(tenant: string, change: Change): Promise<void>;
  reportFault(message: string, cause: unknown): void;
  finish(): Promise<void>;
  shutDown(): Promise<void>;
  /** Serves a client over a pair of streams, whoever it is: for the process that the client has started. */
  connect(client: LocalClient): Promise<LocalConnection>;
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
    /** Without HTTP: then it needs no issuers, and leaves those of a server on the same database alone. */
    readonly local?: boolean;
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
  const warn = (where: string, message: string, cause: unknown): void =>
    emit({ type: "fault", at: clock.now(), level: "warn", where, message, cause });
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

    const demonstration = mode === "development" ? createDemonstration(catalog) : null;
    if (given.local === true) await demonstration?.setUp({ system, tenant: door, ids });
    const development =
      demonstration === null || given.local === true
        ? null
        : await startDevelopment({
            mode,
            catalog,
            demonstration,
            base,
            resourceOf,
            system,
            door,
            ids,
            clock,
            emit,
          });

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
    const deadAfterMs = options.instanceDeadAfterMs ?? 15_000;
    const concurrency = createConcurrencyLimiter();
    const signals = createSignals({
      repository: createSignalRepository(system, instanceId),
      instanceId,
      monotonic: clock.monotonic,
      onFault: (message, cause) => warn("signals", message, cause),
    });
    await signals.catchUp();
    const stateKeys = createStateKeys({ system, monotonic: clock.monotonic });
    await stateKeys.refresh();
    const wire = createWire({
      system,
      signals,
      stateKeys,
      rates,
      concurrency,
      random: randomBytes,
      instanceId,
      deadAfterMs,
      onTrouble: (message, cause) => warn("sessions", message, cause),
      clock,
      ids,
      emit,
      catalog,
      views,
      policy,
      directory,
      authenticator,
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
      onFault: (cause) => tell("streams")(cause),
    });

    const pipeline = createPipeline({
      clock,
      emit,
      resourceOf,
      addresses,
      directory,
      authenticator,
      role: { kind: "shared" },
      rates,
      concurrency,
      catalog,
      operate: wire.operate,
      openWork: wire.openWork,
      listening: wire.listening,
      rounds: wire.rounds,
      previous: wire.previous,
      deadlines: wire.deadlines,
      outbox: wire.outbox,
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

    const tell = (where: string) => (cause: unknown) =>
      emit({
        type: "fault",
        at: clock.now(),
        level: "error",
        where,
        message: "A regular task failed; it is tried again.",
        cause,
      });
    const regular = startRegularTasks({
      clock,
      instanceId,
      deadAfterMs,
      tell,
      housekeeping: { expired: () => removeExpired(system), passed: () => removePassed(system) },
      directory,
      signals,
      instances,
      audit: auditRepository,
      stateKeys,
      refusals,
      limiters: [rates, adminRates, proofRates],
      wire,
    });
    const notifications = listenForNotifications(doorSettings(admin, "bulkhead_system"), {
      bulkhead_configuration: () => {
        directory.refresh().catch(tell("configuration"));
      },
      bulkhead_signals: signals.heard,
    });
    emit({
      type: "lifecycle",
      at: clock.now(),
      instanceId,
      phase: "started",
      detail: `bulkhead ${VERSION} serves ${options.server.name} in ${mode} mode`,
    });

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
    const requests = createRequestHandler({ dispatch, clock, ids, emit });
    async function metricsPage(): Promise<{ type: string; text: string }> {
      hub.flush();
      return { type: metrics.contentType, text: await metrics.text() };
    }

    return {
      development,
      connect: (client) =>
        openLocalConnection(
          {
            ...wire,
            clock,
            emit,
            directory,
            role: { kind: "shared" },
            rates,
            concurrency,
            ids,
            audit,
            catalog,
            maxBodyBytes: MAX_BODY_BYTES,
            draining: () => draining,
            permissionsOf: ({ slug }, subject) =>
              demonstration?.usersOf(slug).find((user) => user.subject === subject)?.permissions ??
              catalog.permissions,
          },
          client,
        ),
      handle: requests.handle,
      async announce(tenant, change) {
        const name = parseTenantId(tenant) ?? parseSlug(tenant);
        const snapshot = name === null ? null : await directory.byName(name);
        if (snapshot === null) throw new Fault("tenant_not_found");
        wire.announcements.announce(snapshot.id, change);
      },
      reportFault: (message, cause) =>
        emit({ type: "fault", at: clock.now(), level: "error", where: "process", message, cause }),
      drain() {
        draining = true;
        wire.tasks.drain();
        wire.streams.endAll();
        wire.resumable.endAll();
        emit({ type: "lifecycle", at: clock.now(), instanceId, phase: "draining" });
      },
      async finish() {
        const over = Promise.all([requests.finished(), wire.tasks.finished()]).then(() => true);
        const late = (milliseconds: number) => delay(milliseconds, false, { ref: false });
        if (await Promise.race([over, late(options.drainMs ?? 10_000)])) return;
        wire.openWork.endAll(refuse("stopping", { retryAfterMs: 1_000 }));
        // What was interrupted still writes its outcome and its answer.
        await Promise.race([over, late(500)]);
      },
      async shutDown() {
        regular.stop();
        await notifications.close();
        await wire.close();
        await signals.close();
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
