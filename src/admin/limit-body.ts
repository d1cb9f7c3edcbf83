import type { MiddlewareHandler } from "hono";
import { isRefusal, type Refusal, refuse } from "../core/refusal.ts";
import type { AdminEnv } from "./act.ts";
import { answerProblem } from "./answer-problem.ts";
import { hasBody } from "./has-body.ts";
import { inputInvalid } from "./problem.ts";

const MAX_BYTES = 262_144;

/**
 * Refuses a body above 256 KB before more than that of it has been read, and one that takes longer than `timeoutMs`.
 * (Hono's own limiter makes a Request out of the Node adapter's, which works only where the adapter has replaced the
 * global Request.)
 */
export function limitBody(timeoutMs: number): MiddlewareHandler<AdminEnv> {
  return async (c, next) => {
    const header = (name: string): string | undefined => c.req.header(name);
    if (!hasBody(header)) return next();
    if (Number(header("content-length") ?? 0) > MAX_BYTES) return answerProblem(c, "input_too_large");
    const body = await readBody(c.req.raw.body, timeoutMs);
    if (isRefusal(body)) {
      // What is still to come would otherwise be waited for before the connection's next request.
      if (body.code === "body_timeout") c.header("Connection", "close");
      return answerProblem(c, body.code, { detail: body.detail, cause: body.cause });
    }
    c.req.raw = new Request(c.req.url, { method: c.req.method, headers: c.req.raw.headers, body });
    return next();
  };
}

async function readBody(
  stream: ReadableStream<Uint8Array> | null,
  timeoutMs: number,
): Promise<Uint8Array | Refusal> {
  if (stream === null) return new Uint8Array();
  const reader = stream.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  let timer: NodeJS.Timeout | undefined;
  // Of the whole: one byte now and then must not keep it going.
  const late = new Promise<Refusal>((resolve) => {
    timer = setTimeout(() => resolve(refuse("body_timeout")), timeoutMs);
  });
  try {
    for (;;) {
      const read = await Promise.race([reader.read(), late]);
      if (isRefusal(read)) return read;
      if (read.done) return Buffer.concat(chunks, size);
      size += read.value.byteLength;
      if (size > MAX_BYTES) return refuse("input_too_large");
      chunks.push(read.value);
    }
  } catch (cause) {
    return { ...inputInvalid([{ path: "", message: "The body ended early" }]), cause };
  } finally {
    clearTimeout(timer);
  }
}
