import { createIdSource } from "../../src/core/ids.ts";
import type { Session } from "../../src/protocol/session.ts";

const ids = createIdSource(Date.now);

/** A session of the previous generation; what is not said is as plain as can be. */
export function earlierSession(said: Partial<Session> = {}): Session {
  return {
    id: ids.session(),
    tenantId: ids.tenant(),
    principalKey: "ada",
    revision: "2025-11-25",
    client: { name: "test", version: "1", capabilities: {} },
    logLevel: null,
    subscriptions: new Set(),
    ...said,
  };
}
