import { inspect } from "node:util";
import { type Logger, pino } from "pino";
import type { AccessNote, BulkheadEvent, OperationEvent } from "../core/event.ts";
import type { InstanceId } from "../core/ids.ts";
import { jsonNumber, jsonString } from "../core/json-string.ts";

/** Characters of one text within something that was thrown and is no error. */
const MAX_SHOWN = 8_192;
/** Characters that are written together at the most: much longer strings cost more for each line. */
const MAX_GATHERED = 65_536;

/** Bytes that may wait for whoever reads the log: past it lines are left out, and how many is told when they are read again. */
const MAX_WAITING = 16 * 1_048_576;

/** Where log lines go. */
export interface LineDestination {
  /** Bytes that wait to be read, where it knows: streams do. */
  readonly writableLength?: number;
  /** Takes whole lines, each with its line feed. */
  write(lines: string): void;
}

/**
 * Turns events into JSON log lines: one for each operation, with the tenant's id; of a ping at level `debug`. Refusals before an operation come
 * through the aggregator instead (`refusal-summary.ts`), so that a flood is not a flood of lines. The lines of events
 * that come together are written together.
 */
export function createLogLines(options: {
  readonly destination: LineDestination;
  readonly instanceId: InstanceId;
  readonly level: "debug" | "info" | "warn" | "error" | "silent";
}): (event: BulkheadEvent, more?: boolean) => void {
  let gathered = "";
  let leftOut = 0;
  /** Time of the last event. */
  let last = 0;
  const log: Logger = pino(
    {
      level: options.level,
      base: { instance: options.instanceId },
      timestamp: false,
      messageKey: "message",
      formatters: { level: (label) => ({ level: label }) },
    },
    {
      write(line) {
        gathered += line;
      },
    },
  );
  const beginning = (level: "debug" | "info" | "error"): string | null =>
    log.isLevelEnabled(level) ? `{"level":"${level}","instance":${jsonString(options.instanceId)},` : null;
  const debug = beginning("debug");
  const info = beginning("info");
  const error = beginning("error");
  const timeText = createTimeText();

  /** The line of every call, and so by hand: the same as the logger would make of it. */
  const operationLine = (event: OperationEvent): string => {
    const failed = event.outcome === "failed";
    // A ping is free of the rate limit: at the level of calls, whoever pings without end would fill the log.
    const begin = failed ? error : event.method === "ping" ? debug : info;
    if (begin === null) return "";
    const { actor } = event;
    const trace = event.traceId === null ? "" : `,"trace":${jsonString(event.traceId)}`;
    const cause = failed ? describe(event.cause) : undefined;
    const end = cause === undefined ? "" : `,"cause":${jsonString(cause)}`;
    return `${begin}"time":"${timeText(event.at)}","event":"operation","tenant":${jsonString(event.tenantId)},"operation":${jsonString(event.operationId)},"method":${jsonString(event.method)},"target":${jsonString(event.target)},"outcome":"${event.outcome}","code":${jsonString(event.code)},"durationMs":${jsonNumber(round(event.durationMs))},"access":${accessJson(event.access)},"subject":${jsonString(actor.subject)},"issuer":${jsonString(actor.issuer)},"client":${jsonString(actor.clientId)},"protocol":${jsonString(event.protocolVersion)},"bytesIn":${jsonNumber(event.bytesIn)},"bytesOut":${jsonNumber(event.bytesOut)}${trace}${end}}\n`;
  };

  const writeGathered = (): void => {
    const { destination } = options;
    if (gathered === "") return;
    // A pipe that nobody reads any more would gather the log of weeks in our memory.
    const isFull = (destination.writableLength ?? 0) > MAX_WAITING;
    if (isFull) leftOut += gathered.split("\n").length - 1;
    else if (leftOut > 0) {
      log.warn(
        { time: new Date(last).toISOString(), event: "log", leftOut },
        "Log lines were left out: nobody had read them.",
      );
      leftOut = 0;
    }
    const lines = isFull ? "" : gathered;
    gathered = "";
    if (lines !== "") destination.write(lines);
  };

  const gather = (event: BulkheadEvent): void => {
    last = event.at;
    if (event.type === "operation") gathered += operationLine(event);
    else logOther(log, event);
  };

  return (event, more = false) => {
    try {
      gather(event);
    } finally {
      if (!more || gathered.length >= MAX_GATHERED) writeGathered();
    }
  };
}

/** Lines of all other events: rare enough for the logger to make them. */
function logOther(log: Logger, event: Exclude<BulkheadEvent, OperationEvent>): void {
  const time = new Date(event.at).toISOString();
  switch (event.type) {
    case "administrative": {
      const fields = {
        time,
        event: "administrative",
        tenant: event.tenantId,
        operation: event.operationId,
        action: event.action,
        target: event.target,
        outcome: event.outcome,
        code: event.code,
        durationMs: round(event.durationMs),
        subject: event.actor.subject,
      };
      if (event.outcome === "failed") log.error({ ...fields, cause: describe(event.cause) });
      else log.info(fields);
      return;
    }
    case "tool_log":
      log[event.level](
        {
          time,
          event: "tool_log",
          tenant: event.tenantId,
          operation: event.operationId,
          fields: event.fields ?? undefined,
        },
        event.message,
      );
      return;
    case "lifecycle":
      log.info({ time, event: "lifecycle", phase: event.phase }, event.detail ?? event.phase);
      return;
    case "configuration":
      log.debug({ time, event: "configuration", tenant: event.tenantId, version: event.version });
      return;
    case "fault":
      log[event.level](
        { time, event: "fault", tenant: event.tenantId, where: event.where, cause: describe(event.cause) },
        event.message,
      );
      return;
    case "refusal_summary":
      log.warn({
        time,
        event: "refusals",
        tenant: event.tenantId,
        stage: event.stage,
        code: event.code,
        permission: event.permission,
        count: event.count,
        since: new Date(event.since).toISOString(),
      });
      return;
    case "refusal":
      log.debug({
        time,
        event: "refusal",
        tenant: event.tenantId,
        stage: event.stage,
        code: event.code,
        permission: event.permission,
        cause: describe(event.cause),
      });
      return;
  }
}

/** The members in the order in which they were always told. */
function accessJson({ reason, permission, by, from }: AccessNote): string {
  const member = (name: string, value: string | undefined): string =>
    value === undefined ? "" : `,"${name}":${jsonString(value)}`;
  return `{"reason":"${reason}"${member("permission", permission)}${member("by", by)}${member("from", from)}}`;
}

/** Makes ISO 8601 of milliseconds since 1970, and works out the part before the milliseconds only once a second. */
function createTimeText(): (at: number) => string {
  let second = Number.NaN;
  let upToSecond = "";
  return (at) => {
    const current = Math.floor(at / 1_000);
    if (current !== second) {
      upToSecond = new Date(current * 1_000).toISOString().slice(0, -4);
      second = current;
    }
    return `${upToSecond}${`${1_000 + Math.floor(at - current * 1_000)}`.slice(1)}Z`;
  };
}

/** An internal cause for the log: names and texts of the chain of errors, and the first one's stack. */
function describe(cause: unknown): string | undefined {
  if (cause === undefined || cause === null) return undefined;
  try {
    return inWords(cause);
  } catch {
    // A handler may throw anything: an error whose stack throws in turn must not end the process.
    return `${typeof cause}, which cannot be put into words`;
  }
}

function inWords(cause: unknown): string {
  if (typeof cause === "string") return cause;
  // Also of an object that contains itself, or a bigint.
  if (!(cause instanceof Error)) return inspect(cause, { depth: 3, maxStringLength: MAX_SHOWN });
  const chain: string[] = [];
  let next: unknown = cause.cause;
  // Chains are short; the bound is against one that refers to itself.
  for (let i = 0; i < 5 && next instanceof Error; i++) {
    chain.push(`${next.name}: ${next.message}`);
    next = next.cause;
  }
  return [cause.stack ?? `${cause.name}: ${cause.message}`, ...chain].join("\ncaused by ");
}

function round(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}
