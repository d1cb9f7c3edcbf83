import type { SessionId, TenantId } from "../core/ids.ts";

/** What a session is found by. */
export interface SessionName {
  readonly tenantId: TenantId;
  readonly sessionId: SessionId;
}

/** A session as it is kept. */
export interface SessionRow extends SessionName {
  readonly principalKey: string;
  readonly revision: string;
  /** JSON of the client's description. */
  readonly client: string;
  readonly logLevel: string | null;
  readonly subscriptions: readonly string[];
  /** It has not been noted as used for a while. */
  readonly unseen: boolean;
}

/** Where sessions are kept that all instances share: the data room's port. */
export interface SessionStore {
  insert(
    session: Omit<SessionRow, "subscriptions" | "unseen">,
    bound: { readonly most: number; readonly makeRoom: boolean },
  ): Promise<"opened" | "full" | "no_tenant">;
  find(names: readonly SessionName[]): Promise<readonly SessionRow[]>;
  /** Null, here and below: there is no such session. */
  setLogLevel(name: SessionName, level: string): Promise<SessionRow | null>;
  subscribe(
    name: SessionName,
    uri: string,
    most: { readonly uris: number; readonly bytes: number },
  ): Promise<SessionRow | null>;
  unsubscribe(name: SessionName, uri: string): Promise<SessionRow | null>;
  touch(names: readonly SessionName[]): Promise<void>;
  remove(name: SessionName): Promise<boolean>;
}
