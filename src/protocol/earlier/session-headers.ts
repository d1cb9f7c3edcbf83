import type { IncomingHttpHeaders } from "node:http";
import { type Refusal, refuse } from "../../core/refusal.ts";
import { EARLIER, isEarlier } from "../revisions.ts";

/**
 * The session that a request names, as it was sent. The version that it may name besides must be one of this generation,
 * but not the session's own: what a session agreed on counts ("Protocol Version Header": "SHOULD be the one negotiated"),
 * and clients are about that send an older one.
 */
export function readSessionHeaders(headers: IncomingHttpHeaders): string | Refusal {
  const version = headers["mcp-protocol-version"];
  if (version !== undefined && !isEarlier(version)) {
    const requested = typeof version === "string" ? version.slice(0, 64) : "several";
    return refuse("version_unsupported", { data: { supported: EARLIER, requested } });
  }
  const sessionId = headers["mcp-session-id"];
  return typeof sessionId === "string" ? sessionId : refuse("session_missing");
}
