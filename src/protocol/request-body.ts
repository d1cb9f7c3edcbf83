import type { IncomingMessage } from "node:http";
import type { Eventually } from "../core/eventually.ts";
import { type Refusal, refuse } from "../core/refusal.ts";

/**
 * Reads a body of at most `limit` bytes within `timeoutMs`. Never holds more than the limit. Gives it at once where it has
 * come already, as small ones do with their headers: once something was awaited since the request began.
 */
export function readBody(
  req: IncomingMessage,
  limit: number,
  timeoutMs: number,
): Eventually<Buffer | Refusal> {
  // A framework's body parser was first: nothing more would come.
  if (req.readableEnded) return refuse("body_consumed");
  const declared = Number(req.headers["content-length"] ?? 0);
  if (declared > limit) return refuse("body_too_large", { data: { limit } });
  // The caller has gone while its token was looked at: no event would come any more.
  if (req.destroyed) return endedEarly();
  if (req.complete && declared > 0 && req.readableLength === declared) {
    const body: unknown = req.read();
    if (Buffer.isBuffer(body)) return body;
  }
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const finish = (result: Buffer | Refusal): void => {
      clearTimeout(timer);
      req.off("data", onData);
      req.off("end", onEnd);
      req.off("error", onError);
      req.off("close", onError);
      resolve(result);
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > limit) finish(refuse("body_too_large", { data: { limit } }));
      else chunks.push(chunk);
    };
    const onEnd = (): void =>
      finish(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, size));
    const onError = (): void => finish(endedEarly());
    const timer = setTimeout(() => finish(refuse("body_timeout")), timeoutMs);
    req.on("data", onData);
    req.on("end", onEnd);
    req.on("error", onError);
    req.on("close", onError);
  });
}

function endedEarly(): Refusal {
  return refuse("parse_error", { detail: "The body ended early." });
}

/** The media type of a message must be JSON: a form cannot send it from another site without asking first. */
export function checkMediaType(req: IncomingMessage): Refusal | null {
  const type = req.headers["content-type"];
  if (type !== "application/json" && !/^application\/json\s*(;|$)/i.test(type ?? ""))
    return refuse("media_type_refused");
  const accept = req.headers.accept;
  if (accept !== undefined && !/(application|\*)\/(json|\*)/i.test(accept)) return refuse("not_acceptable");
  return null;
}
