import type { SessionId, TenantId } from "../core/ids.ts";
import type { MessageLevel } from "../tenancy/client.ts";
import type { ClientDescription } from "./client-description.ts";
import type { EarlierRevision } from "./revisions.ts";

/** A session of the previous generation (2025-11-25, "Session Management"), as it was when it was last read. */
export interface Session {
  readonly id: SessionId;
  readonly tenantId: TenantId;
  /** Whom it belongs to: anybody else finds no such session. */
  readonly principalKey: string;
  readonly revision: EarlierRevision;
  readonly client: ClientDescription;
  /** Null: the client has not said; then it gets what the server thinks fit: info and above. */
  readonly logLevel: MessageLevel | null;
  /** URIs of the resources whose changes the client is told of. */
  readonly subscriptions: ReadonlySet<string>;
}
