import type { TraceContext } from "../tenancy/client.ts";
import { type JsonObject, member } from "./json-rpc.ts";

/** Version 00 alone: trace id and parent id of all zeroes are none (W3C Trace Context, section 3.2). */
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
/** Lengths that section 3.3.1.5 of Trace Context and section 3.3.2 of Baggage ask implementations to take. */
const MAX_STATE = 512;
const MAX_BAGGAGE = 8_192;

/** The trace context of a request's `_meta`. What is malformed is as if it were not there: it must fail no request. */
export function readTrace(meta: JsonObject | undefined): TraceContext | null {
  const traceparent = member(meta, "traceparent");
  if (typeof traceparent !== "string" || !TRACEPARENT.test(traceparent)) return null;
  const text = (name: string, limit: number): string | null => {
    const value = member(meta, name);
    return typeof value === "string" && value.length <= limit && /^[\x20-\x7e\t]*$/.test(value)
      ? value
      : null;
  };
  return { traceparent, tracestate: text("tracestate", MAX_STATE), baggage: text("baggage", MAX_BAGGAGE) };
}

/** The trace id of a checked traceparent. */
export function traceIdOf(trace: TraceContext | null): string | null {
  return trace === null ? null : trace.traceparent.slice(3, 35);
}
