import type { Actor } from "../core/event.ts";
import type { ApiKeyId } from "../core/ids.ts";

/** An API key to be made. */
export interface NewApiKey {
  readonly id: ApiKeyId;
  readonly name: string;
  /** SHA-256 of the secret, which is kept nowhere. */
  readonly secretHash: Uint8Array;
  readonly permissions: readonly string[];
  readonly expiresAt: Date;
  readonly createdBy: Actor;
}

/** An API key as it is shown. */
export interface ApiKeyRecord extends Omit<NewApiKey, "secretHash"> {
  readonly createdAt: Date;
}
