import type { Actor } from "../core/event.ts";
import type { RevocationId } from "../core/ids.ts";

/** What is revoked. */
export type RevocationTarget =
  /** One token, by its `jti`. */
  | { readonly kind: "token"; readonly issuer: string; readonly value: string; readonly notBefore: null }
  /** What was issued to a subject at or before a moment. */
  | { readonly kind: "subject"; readonly issuer: string; readonly value: string; readonly notBefore: Date }
  /** All that an issuer's key signed, by its `kid`. */
  | {
      readonly kind: "signing_key";
      readonly issuer: string;
      readonly value: string;
      readonly notBefore: null;
    }
  /** What was issued for the tenant at or before a moment, API keys included. */
  | { readonly kind: "tenant"; readonly issuer: null; readonly value: null; readonly notBefore: Date };

interface Revocation {
  readonly id: RevocationId;
  readonly target: RevocationTarget;
  /** When the last credential that it could refuse will have expired by itself; null: never. */
  readonly expiresAt: Date | null;
  readonly createdBy: Actor;
}

export type NewRevocation = Revocation;

export interface RevocationRecord extends Revocation {
  readonly createdAt: Date;
}
