/**
 * A server object of the official SDK as far as it is used here: `McpServer` and `Server` of both of its generations. The
 * SDK is the user's own; nothing of it is imported.
 */
export interface SdkServer {
  connect(transport: SdkTransport): Promise<void>;
  close(): Promise<void>;
}

/** What the SDK requires of a transport. */
export interface SdkTransport {
  start(): Promise<void>;
  send(message: never): Promise<void>;
  close(): Promise<void>;
}

/** What a factory is given: that of the SDK's own HTTP handler, which knows of several eras. */
export interface SdkFactoryContext {
  /** The server object speaks with Bulkhead alone, which speaks with clients of all revisions. */
  readonly era: "legacy";
}

/** Makes a server object: anew for every call, so that none ever serves two callers. */
export type SdkServerFactory = (context: SdkFactoryContext) => SdkServer | Promise<SdkServer>;

/** The revision spoken with server objects: the newest that all of them know. */
export const SDK_REVISION = "2025-11-25";
