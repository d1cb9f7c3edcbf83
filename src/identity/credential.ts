import type { ApiKeyId, IssuerId } from "../core/ids.ts";

/** What a caller proved to have, as far as it must be known later: to end what it began when it no longer holds. */
export type Credential =
  | {
      readonly kind: "token";
      /** The registration that verified it. */
      readonly issuerId: IssuerId;
      readonly issuer: string;
      readonly subject: string;
      /** `jti`. */
      readonly tokenId: string | null;
      /** `iat` in milliseconds since 1970; 0 where an introspected token has none. */
      readonly issuedAt: number;
      /** `kid` of the key that signed it; null for an introspected token, and for a key without one. */
      readonly signingKeyId: string | null;
      /** Roles that it names itself, whether the tenant defines them or not. */
      readonly roles: readonly string[];
      /** Whether it is bound to a key, whose possession each request proves. */
      readonly bound: boolean;
      /** Milliseconds since 1970. */
      readonly expiresAt: number;
    }
  | { readonly kind: "key"; readonly keyId: ApiKeyId; readonly expiresAt: number }
  /** None: whoever started the process is trusted. It ends with the process. */
  | { readonly kind: "local"; readonly expiresAt: number };
