import type { IncomingMessage } from "node:http";
import { type Refusal, refuse } from "../core/refusal.ts";
import type { Deadlines } from "./deadlines.ts";
import { withPiece } from "./growing-buffer.ts";

/** Reads a body of at most `limit` bytes within `timeoutMs`. Never holds more than the limit. */
export function readBody(
  req: IncomingMessage,
  {
    limit,
    timeoutMs,
    deadlines,
  }: { readonly limit: number; readonly timeoutMs: number; readonly deadlines: Deadlines },
): Promise<Buffer | Refusal> {
  // A framework's body parser was first: nothing more would come.
  if (req.readableEnded) return Promise.resolve(refuse("body_consumed"));
  const declared = Number(req.headers["content-length"] ?? 0);
  if (declared > limit) return Promise.resolve(refuse("body_too_large", { data: { limit } }));
  // The caller has gone while its token was looked at: no event would come any more.
  if (req.destroyed) return Promise.resolve(endedEarly());
  return new Promise((resolve) => {
    let held: Buffer | null = null;
    let size = 0;
    const finish = (result: Buffer | Refusal): void => {
      deadline.clear();
      req.off("data", onData);
      req.off("end", onEnd);
      req.off("error", onError);
      req.off("close", onError);
      resolve(result);
    };
    const onData = (chunk: Buffer): void => {
      const length = size;
      size += chunk.length;
      if (size > limit) finish(refuse("body_too_large", { data: { limit } }));
      // Nearly all bodies come in one piece.
      else held = held === null ? chunk : withPiece(held, { length, piece: chunk, most: limit });
    };
    const onEnd = (): void => finish(held === null ? Buffer.alloc(0) : held.subarray(0, size));
    const onError = (): void => finish(endedEarly());
    const deadline = deadlines.begin(timeoutMs, () => finish(refuse("body_timeout")));
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
