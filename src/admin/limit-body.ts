import type { MiddlewareHandler } from "hono";
import type { AdminEnv } from "./act.ts";
import { answerProblem } from "./answer-problem.ts";

const MAX_BYTES = 262_144;

/**
 * Refuses a body above 256 KB before more than that of it has been read. (Hono's own limiter makes a Request out of the
 * Node adapter's, which works only where the adapter has replaced the global Request.)
 */
export const limitBody: MiddlewareHandler<AdminEnv> = async (c, next) => {
  const length = c.req.header("content-length");
  if (length !== undefined) {
    // Node's parser gives no more of a body than its Content-Length.
    if (Number(length) > MAX_BYTES) return answerProblem(c, "input_too_large");
  } else if (c.req.header("transfer-encoding") !== undefined) {
    const body = await readUpTo(c.req.raw.body, MAX_BYTES);
    if (body === null) return answerProblem(c, "input_too_large");
    c.req.raw = new Request(c.req.url, { method: c.req.method, headers: c.req.raw.headers, body });
  }
  await next();
};

/** Null: there is more. */
async function readUpTo(
  stream: ReadableStream<Uint8Array> | null,
  limit: number,
): Promise<Uint8Array | null> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream ?? []) {
    size += chunk.byteLength;
    if (size > limit) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
