import { pino } from "pino";
import { expect, test } from "vitest";
import type { OperationEvent } from "../../src/core/event.ts";
import type { InstanceId } from "../../src/core/ids.ts";
import { createEventHub } from "../../src/observe/event-hub.ts";
import { createLogLines } from "../../src/observe/log-lines.ts";
import { createMetrics } from "../../src/observe/metrics.ts";
import { operationEvent } from "./operation-event.ts";

const INSTANCE = "ins_1" as InstanceId;
const operation = operationEvent({});

function start(level: "debug" | "info" | "warn" | "error" | "silent" = "info") {
  const written: string[] = [];
  const destination = { write: (lines: string) => void written.push(lines) };
  return { written, log: createLogLines({ destination, instanceId: INSTANCE, level }) };
}

test("the line of an operation, to the letter", () => {
  const { written, log } = start();
  log(operation);
  expect(written).toEqual([
    '{"level":"info","instance":"ins_1","time":"2026-11-21T09:08:07.006Z","event":"operation","tenant":"tnt_a","operation":"op_1","method":"tools/call","target":"get_ticket","outcome":"ok","code":null,"durationMs":1.235,"access":{"reason":"implied","permission":"tickets:read","by":"tickets:write","from":"role agent"},"subject":"ada","issuer":"https://issuer.example","client":null,"protocol":"2026-07-28","bytesIn":312,"bytesOut":1}\n',
  ]);
});

test.each<[what: string, event: Partial<OperationEvent>, level?: "debug" | "info" | "error"]>([
  ["that failed", { outcome: "failed", code: "handler_failed", cause: 'a "cause"\nof two lines' }, "error"],
  ["that failed for no known cause", { outcome: "failed", code: "handler_failed" }, "error"],
  ["that needed no permission", { access: { reason: "not_required" } }],
  ["whose permission comes from nowhere", { access: { reason: "granted", permission: "a:b", by: "a:b" } }],
  [
    "with texts that need escapes",
    {
      target: "\u0000\u001f\u007f\u2028é\ud800",
      actor: { kind: "user", subject: '"}\n{"', issuer: "\\", clientId: "😀" },
    },
  ],
  ["with numbers that JSON does not have", { durationMs: Number.NaN, bytesOut: Number.POSITIVE_INFINITY }],
  ["that is a ping", { method: "ping", target: null, access: { reason: "not_required" } }, "debug"],
  ["with a trace", { traceId: "0af7651916cd43dd8448eb211c80319c" }],
])("the line of an operation %s is what the logger would have made", (_what, more, level = "info") => {
  const event = { ...operation, ...more };
  const expected: string[] = [];
  const { actor } = event;
  const fields = {
    time: "2026-11-21T09:08:07.006Z",
    event: "operation",
    tenant: event.tenantId,
    operation: event.operationId,
    method: event.method,
    target: event.target,
    outcome: event.outcome,
    code: event.code,
    durationMs: Math.round(event.durationMs * 1_000) / 1_000,
    access: event.access,
    subject: actor.subject,
    issuer: actor.issuer,
    client: actor.clientId,
    protocol: event.protocolVersion,
    bytesIn: event.bytesIn,
    bytesOut: event.bytesOut,
    trace: event.traceId ?? undefined,
    cause: event.cause,
  };
  const logger = pino(
    {
      level,
      base: { instance: INSTANCE },
      timestamp: false,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line) => void expected.push(line) },
  );
  logger[level](fields);
  const { written, log } = start("debug");
  log(event);
  expect(written).toEqual(expected);
});

test("the time of every event is its own, also across a second and before 1970", () => {
  const { written, log } = start();
  const times = [0, 999, 1_000, 1_001, 999, -1, -1_000, 1_800_000_000_000, 1_800_000_000_010.7];
  for (const at of times) log({ ...operation, at });
  expect(written.map((line) => JSON.parse(line).time)).toEqual(times.map((at) => new Date(at).toISOString()));
});

test("no line below the level is made", () => {
  const { written, log } = start("error");
  log(operation);
  expect(written).toEqual([]);
  log({ ...operation, outcome: "failed" });
  expect(written).toHaveLength(1);
});

test("pings, which no rate bounds, leave no line at the level of calls, and are counted all the same", async () => {
  const { written, log } = start();
  const metrics = createMetrics();
  const hub = createEventHub([log, metrics.consume]);
  for (let i = 0; i < 3; i++) hub.emit({ ...operation, method: "ping" });
  hub.emit({ ...operation, method: "ping", outcome: "failed" });
  hub.flush();
  expect(written.map((line) => JSON.parse(line).level)).toEqual(["error"]);
  expect(await metrics.text()).toContain(
    'bulkhead_operations_total{tenant="tnt_a",method="ping",outcome="ok"} 3\n',
  );
});

test("lines of events that come together are written together, in order, also when one cannot be made", () => {
  const { written, log } = start();
  const hub = createEventHub([log]);
  hub.emit({ type: "lifecycle", at: 1, instanceId: INSTANCE, phase: "started" });
  hub.emit(operation);
  // Ends the batch, and has no line: it is below the level.
  hub.emit({ type: "configuration", at: 1, tenantId: null, version: 1 });
  hub.flush();
  expect(written).toHaveLength(1);
  expect(written[0]?.match(/"event":"(\w+)"/g)).toEqual(['"event":"lifecycle"', '"event":"operation"']);
  hub.emit(operation);
  hub.emit({ ...operation, at: Number.NaN });
  hub.flush();
  expect(written).toHaveLength(2);
  expect(written[1]?.trimEnd().split("\n")).toHaveLength(1);
});

test("many lines are written in parts, and none is lost", () => {
  const { written, log } = start();
  const hub = createEventHub([log]);
  for (let i = 0; i < 500; i++) hub.emit({ ...operation, bytesIn: i });
  hub.flush();
  expect(written.length).toBeGreaterThan(1);
  expect(Math.max(...written.map((lines) => lines.length))).toBeLessThan(70_000);
  const lines = written.join("").trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line).bytesIn)).toEqual(
    Array.from({ length: 500 }, (_unused, i) => i),
  );
});

test("a log that nobody reads takes no more than a bounded part of the memory, and says what is missing", () => {
  const written: string[] = [];
  const destination = {
    writableLength: 0,
    write(lines: string) {
      written.push(lines);
      this.writableLength += lines.length;
    },
  };
  const log = createLogLines({ destination, instanceId: INSTANCE, level: "info" });
  const event = { ...operation, target: "x".repeat(60_000) };
  for (let i = 0; i < 400; i++) log(event, i % 2 === 0);
  expect(destination.writableLength).toBeLessThan(17_000_000);
  const lines = written.join("").split("\n").length - 1;
  destination.writableLength = 0;
  written.length = 0;
  log(operation);
  const [, told] = written.join("").split("\n");
  expect(JSON.parse(told ?? "")).toMatchObject({
    level: "warn",
    time: "2026-11-21T09:08:07.006Z",
    event: "log",
    leftOut: 400 - lines,
  });
});
