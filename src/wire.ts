/** The protocol of one instance put together: how requests of both generations become operations, and what stays open. */
import type { Catalog } from "./catalog/catalog.ts";
import type { Permits, TenantViews } from "./catalog/tenant-view.ts";
import type { Clock } from "./core/clock.ts";
import type { EventSink } from "./core/event.ts";
import { after } from "./core/eventually.ts";
import type { IdSource, InstanceId } from "./core/ids.ts";
import { isRefusal } from "./core/refusal.ts";
import { createSessionRepository } from "./data/session-repository.ts";
import { createStreamRepository } from "./data/stream-repository.ts";
import type { SystemDoor } from "./data/system-door.ts";
import { createTaskRepository } from "./data/task-repository.ts";
import type { AccessPolicy } from "./identity/access-policy.ts";
import type { Authenticator } from "./identity/authenticator.ts";
import type { Caller } from "./identity/caller.ts";
import { permissionsUnder } from "./identity/principal-of.ts";
import type { ConcurrencyLimiter } from "./limits/concurrency.ts";
import type { TenantRateLimiter } from "./limits/tenant-rate-limiter.ts";
import type { AuditTrail } from "./observe/audit-trail.ts";
import { createOperate, type Operate, type OperateRooms } from "./operate.ts";
import type { PipelineRooms } from "./pipeline.ts";
import { createPreviousGeneration } from "./previous-generation.ts";
import { type Announcements, createAnnouncements } from "./protocol/announcements.ts";
import { createCallsElsewhere } from "./protocol/calls-elsewhere.ts";
import { type ChangeStreams, createChangeStreams } from "./protocol/change-streams.ts";
import {
  type ConfigurationFollower,
  createConfigurationFollower,
} from "./protocol/configuration-follower.ts";
import { createDeadlines } from "./protocol/deadlines.ts";
import { createClientAnswers } from "./protocol/earlier/client-answers.ts";
import { createResumableStreams, type ResumableStreams } from "./protocol/earlier/resumable-streams.ts";
import { createRunningRequests } from "./protocol/earlier/running-requests.ts";
import { resolveSessionOperation } from "./protocol/earlier/session-operations.ts";
import { createElicitations } from "./protocol/elicitations.ts";
import { createListenOperation } from "./protocol/listen-operation.ts";
import { createOpenWork, type OpenWork } from "./protocol/open-work.ts";
import { createOperationRunner } from "./protocol/operation-runner.ts";
import { resolveOperation } from "./protocol/operations.ts";
import { createOutbox } from "./protocol/outbox.ts";
import { createParkedCalls } from "./protocol/parked-calls.ts";
import { createRequestStates, type StateKeys } from "./protocol/request-state.ts";
import { createResponseText } from "./protocol/response-text.ts";
import { createRounds } from "./protocol/rounds.ts";
import { createSessionStreams } from "./protocol/session-streams.ts";
import { createSessions, type Sessions } from "./protocol/sessions.ts";
import type { SignalPort } from "./protocol/signal-port.ts";
import { createStreamLog } from "./protocol/stream-log.ts";
import { operationOfRun, outcomeText } from "./protocol/tasks/task-outcome.ts";
import { createTasks, type Tasks } from "./tasks.ts";
import type { ContextPorts } from "./tenancy/request-context.ts";
import { TASK_BOUNDS } from "./tenancy/task-bounds.ts";
import type { TenantDirectory } from "./tenancy/tenant-directory.ts";
import type { TenantSnapshot } from "./tenancy/tenant-snapshot.ts";

/** What the pipeline and the instance use of it. */
export interface Wire
  extends Pick<
    PipelineRooms,
    "operate" | "openWork" | "listening" | "rounds" | "previous" | "deadlines" | "outbox"
  > {
  readonly openWork: OpenWork<Caller>;
  readonly streams: ChangeStreams;
  readonly follower: ConfigurationFollower;
  readonly announcements: Announcements;
  readonly operate: Operate;
  readonly sessions: Sessions;
  /** What clients of the previous generation can come back for. */
  readonly resumable: ResumableStreams;
  readonly tasks: Tasks;
  /** Writes what is held for the database. */
  close(): Promise<void>;
}

export function createWire(rooms: {
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly instanceId: InstanceId;
  /** An instance that was not heard of for this long is gone. */
  readonly deadAfterMs: number;
  readonly emit: EventSink;
  readonly catalog: Catalog;
  readonly views: TenantViews;
  readonly policy: AccessPolicy;
  readonly directory: TenantDirectory;
  readonly authenticator: Pick<Authenticator, "stillHolds">;
  readonly audit: AuditTrail;
  /** What contexts of a tenant's operations open. */
  readonly portsFor: (snapshot: TenantSnapshot, readOnly: boolean) => Omit<ContextPorts, "announce">;
  readonly onFault: (cause: unknown) => void;
  readonly system: SystemDoor;
  readonly signals: SignalPort;
  readonly stateKeys: StateKeys;
  readonly rates: TenantRateLimiter;
  readonly concurrency: ConcurrencyLimiter;
  readonly random: (bytes: number) => Uint8Array;
  /** Told of what is written without anybody waiting, where it cannot be. */
  readonly onTrouble: (message: string, cause: unknown) => void;
}): Wire {
  const { clock, ids, emit, catalog, views, policy, directory, audit } = rooms;
  const { stillHolds } = rooms.authenticator;
  const { name, title, version } = catalog.server;
  const serverInfo = JSON.stringify({ name, ...(title === undefined ? {} : { title }), version });

  const openWork = createOpenWork<Caller>();
  const permits: Permits = (granted, required) => policy.decide(granted, required).allowed;
  const grantsOf =
    ({ credential, scopes }: Caller) =>
    (snapshot: TenantSnapshot): ReadonlySet<string> =>
      permissionsUnder(snapshot, { credential, scopes });
  const streams = createChangeStreams({ clock, views, permits });
  const follower = createConfigurationFollower({
    current: directory.byId,
    openWork,
    stillHolds,
    streams,
    onFault: rooms.onFault,
  });
  directory.onChange((tenantId) => follower.changed(tenantId));
  const announcements = createAnnouncements({
    signals: rooms.signals,
    listened: streams.has,
    tell: follower.announced,
    onFault: rooms.onTrouble,
  });

  // The previous generation: what its sessions are made of.
  const { system, signals, random, onTrouble } = rooms;
  const sessions = createSessions({
    store: createSessionRepository(system),
    signals,
    ids,
    clock,
    onFault: onTrouble,
  });
  const log = createStreamLog({
    store: createStreamRepository(system),
    signals,
    monotonic: clock.monotonic,
    onFault: onTrouble,
  });
  const sessionStreams = createSessionStreams<Caller>({
    clock,
    random,
    catalog,
    streams,
    sessions,
    signals,
    current: directory.byId,
    stillHolds,
    grantsOf,
  });
  const resumable = createResumableStreams({ log, signals, clock, random, onFault: onTrouble });

  // Handlers that live on while their client is asked.
  const parked = createParkedCalls({ instanceId: rooms.instanceId, random });
  const elsewhere = createCallsElsewhere({
    parked,
    signals,
    current: directory.byId,
    random,
    onFault: onTrouble,
  });

  // The same for all calls of a tenant: they say how something is opened, and hold nothing of a call.
  const ports = new WeakMap<TenantSnapshot, Map<boolean, ContextPorts>>();
  const portsFor = (snapshot: TenantSnapshot, readOnly: boolean): ContextPorts => {
    let ofTenant = ports.get(snapshot);
    if (ofTenant === undefined) {
      ofTenant = new Map();
      ports.set(snapshot, ofTenant);
    }
    let made = ofTenant.get(readOnly);
    if (made === undefined) {
      const announce: ContextPorts["announce"] = (change) => announcements.announce(snapshot.id, change);
      made = { ...rooms.portsFor(snapshot, readOnly), announce };
      ofTenant.set(readOnly, made);
    }
    return made;
  };
  const outbox = createOutbox((cause) => {
    const texts = { where: "request", message: "An answer could not be written." };
    emit({ type: "fault", at: clock.now(), level: "error", ...texts, cause });
  });
  const deadlines = createDeadlines(clock.monotonic);
  const runner = createOperationRunner({
    portsFor,
    deadlines,
    elicitations: createElicitations(),
  });
  const calls: Omit<OperateRooms, "responseText" | "asTask"> = {
    clock,
    ids,
    emit,
    audit,
    runner,
    resolve: (request, { snapshot, principal }) => {
      const from = { view: views.of(snapshot), granted: principal.permissions, policy, catalog };
      return resolveSessionOperation(request, from, sessions) ?? resolveOperation(request, from);
    },
  };
  const tasks = createTasks({
    clock,
    ids,
    instanceId: rooms.instanceId,
    emit,
    store: createTaskRepository(system, TASK_BOUNDS),
    signals,
    catalog,
    policy,
    current: directory.byId,
    stillHolds,
    openWork,
    concurrency: rooms.concurrency,
    operate: createOperate({
      ...calls,
      resolve: (request, caller) =>
        after(calls.resolve(request, caller), (found) =>
          isRefusal(found) ? found : operationOfRun(found, request),
        ),
      responseText: outcomeText,
      asTask: () => null,
    }),
    deadAfterMs: rooms.deadAfterMs,
    onFault: (cause) => onTrouble("A task is held up.", cause),
  });
  const operate = createOperate({
    ...calls,
    resolve: (request, caller) =>
      tasks.resolve(request, { view: views.of(caller.snapshot), principal: caller.principal }) ??
      calls.resolve(request, caller),
    responseText: createResponseText(serverInfo),
    asTask: tasks.asTask,
  });

  return {
    openWork,
    deadlines,
    outbox,
    streams,
    follower,
    announcements,
    operate,
    listening: createListenOperation({
      clock,
      ids,
      emit,
      audit,
      catalog,
      views,
      permits,
      serverInfo,
      streams,
      tasks: tasks.watches,
      current: directory.byId,
      stillHolds,
      grantsOf,
    }),
    rounds: createRounds({
      states: createRequestStates({ keys: rooms.stateKeys, clock }),
      places: { parked, elsewhere },
    }),
    previous: createPreviousGeneration({
      clock,
      ids,
      emit,
      audit,
      catalog,
      rates: rooms.rates,
      concurrency: rooms.concurrency,
      operate,
      sessions,
      signals,
      running: createRunningRequests(),
      answers: createClientAnswers(random),
      streams: resumable,
      sessionStreams,
      outbox,
    }),
    sessions,
    resumable,
    tasks,
    async close() {
      tasks.close();
      parked.close();
      elsewhere.close();
      announcements.close();
      sessionStreams.close();
      await log.close();
      await sessions.close();
    },
  };
}
