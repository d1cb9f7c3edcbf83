/**
 * What a tenant has revoked (RFC 7009 is about telling the issuer; this is about not waiting for it). Members are keyed by
 * `subjectKey(issuer, value)`.
 */
export interface Revocations {
  /** Single tokens, by issuer and `jti`. */
  readonly tokens: ReadonlySet<string>;
  /** Signing keys of issuers, by issuer and `kid`. */
  readonly signingKeys: ReadonlySet<string>;
  /** What was issued to a subject at or before this moment, in milliseconds since 1970, no longer counts. */
  readonly subjects: ReadonlyMap<string, number>;
  /** The same for everything of the tenant, API keys included; null: nothing. */
  readonly notBefore: number | null;
}

export const NO_REVOCATIONS: Revocations = Object.freeze({
  tokens: new Set<string>(),
  signingKeys: new Set<string>(),
  subjects: new Map<string, number>(),
  notBefore: null,
});
