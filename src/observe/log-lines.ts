import { inspect } from "node:util";
import { type DestinationStream, type Logger, pino } from "pino";
import type { BulkheadEvent } from "../core/event.ts";
import type { InstanceId } from "../core/ids.ts";

/** Characters of one text within something that was thrown and is no error. */
const MAX_SHOWN = 8_192;

/**
 * Turns events into JSON log lines: one for each operation, with the tenant's id. Refusals before an operation come
 * through the aggregator instead (`refusal-summary.ts`), so that a flood is not a flood of lines.
 */
export function createLogLines(options: {
  readonly destination: DestinationStream;
  readonly instanceId: InstanceId;
  readonly level: "debug" | "info" | "warn" | "error" | "silent";
}): (event: BulkheadEvent) => void {
  const log: Logger = pino(
    {
      level: options.level,
      base: { instance: options.instanceId },
      timestamp: false,
      messageKey: "message",
      formatters: { level: (label) => ({ level: label }) },
    },
    options.destination,
  );
  return (event) => {
    const time = new Date(event.at).toISOString();
    switch (event.type) {
      case "operation": {
        const fields = {
          time,
          event: "operation",
          tenant: event.tenantId,
          operation: event.operationId,
          method: event.method,
          target: event.target,
          outcome: event.outcome,
          code: event.code,
          durationMs: round(event.durationMs),
          access: event.access,
          subject: event.actor.subject,
          issuer: event.actor.issuer,
          client: event.actor.clientId,
          protocol: event.protocolVersion,
          bytesIn: event.bytesIn,
          bytesOut: event.bytesOut,
        };
        if (event.outcome === "failed") log.error({ ...fields, cause: describe(event.cause) });
        else log.info(fields);
        return;
      }
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
