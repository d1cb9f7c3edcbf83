import { describe, expect, test } from "vitest";
import type { ApiKeyId, IssuerId } from "../../src/core/ids.ts";
import { isKeyRevoked, isTokenRevoked } from "../../src/identity/revocation-check.ts";
import { NO_REVOCATIONS, type Revocations } from "../../src/tenancy/revocations.ts";
import { type ApiKey, subjectKey } from "../../src/tenancy/tenant-snapshot.ts";

const ISSUER = "https://idp.example";
const OTHER = "https://other.example";
/** A whole second, in milliseconds. */
const T = 1_800_000_000_000;

type Token = Parameters<typeof isTokenRevoked>[1];
const token = (changes: Partial<Token> = {}): Token => ({
  kind: "token",
  issuerId: "iss_x" as IssuerId,
  issuer: ISSUER,
  subject: "ada",
  tokenId: "j1",
  issuedAt: T,
  signingKeyId: "k1",
  roles: [],
  bound: false,
  expiresAt: T + 300_000,
  ...changes,
});
const revoked = (changes: Partial<Revocations>, of: Token = token()) =>
  isTokenRevoked({ ...NO_REVOCATIONS, ...changes }, of);
const named = (value: string, issuer = ISSUER) => new Set([subjectKey(issuer, value)]);
const since = (moment: number, subject = "ada", issuer = ISSUER) =>
  new Map([[subjectKey(issuer, subject), moment]]);

test("nothing revoked: every token counts", () => {
  expect(isTokenRevoked(NO_REVOCATIONS, token())).toBe(false);
});

describe("a single token", () => {
  test("is revoked by its issuer and its id together", () => {
    expect(revoked({ tokens: named("j1") })).toBe(true);
    expect(revoked({ tokens: named("j2") })).toBe(false);
    expect(revoked({ tokens: named("j1", OTHER) })).toBe(false);
  });
  test("without an id cannot be revoked singly", () => {
    for (const value of ["", "null", "j1"]) {
      expect(revoked({ tokens: named(value) }, token({ tokenId: null }))).toBe(false);
    }
  });
  test("is not revoked by its subject's or its key's name in the list of tokens", () => {
    expect(revoked({ tokens: new Set([...named("ada"), ...named("k1")]) })).toBe(false);
  });
});

describe("a signing key", () => {
  test("takes every token with it that it signed, of its own issuer", () => {
    expect(revoked({ signingKeys: named("k1") })).toBe(true);
    expect(revoked({ signingKeys: named("k2") })).toBe(false);
    expect(revoked({ signingKeys: named("k1", OTHER) })).toBe(false);
  });
  test("says nothing about a token that no key signed", () => {
    expect(revoked({ signingKeys: named("null") }, token({ signingKeyId: null }))).toBe(false);
  });
});

describe.each([
  ["a subject", (moment: number): Partial<Revocations> => ({ subjects: since(moment) })],
  ["the tenant", (moment: number): Partial<Revocations> => ({ notBefore: moment })],
])("%s, not before a moment", (_name, notBefore) => {
  test("what was issued earlier is refused, what was issued later counts", () => {
    expect(revoked(notBefore(T + 1000))).toBe(true);
    expect(revoked(notBefore(T - 1000))).toBe(false);
  });
  test("the very moment counts as before", () => {
    expect(revoked(notBefore(T))).toBe(true);
    expect(revoked(notBefore(T - 1))).toBe(false);
  });
  test("a token of the same second is refused, since whole seconds do not tell before from after", () => {
    for (const fraction of [1, 500, 999]) expect(revoked(notBefore(T + fraction))).toBe(true);
    expect(revoked(notBefore(T + 999), token({ issuedAt: T + 1000 }))).toBe(false);
  });
  test("an issuer that writes fractions of a second is taken at its word", () => {
    expect(revoked(notBefore(T + 500), token({ issuedAt: T + 400 }))).toBe(true);
    expect(revoked(notBefore(T + 500), token({ issuedAt: T + 600 }))).toBe(false);
  });
  test("a token whose issuer does not tell when it was issued is refused", () => {
    expect(revoked(notBefore(1), token({ issuedAt: 0 }))).toBe(true);
  });
});

test("a subject is one of one issuer", () => {
  expect(revoked({ subjects: since(T, "ada", OTHER) })).toBe(false);
  expect(revoked({ subjects: since(T, "ad") })).toBe(false);
  expect(revoked({ subjects: since(T, "Ada") })).toBe(false);
});

test("an API key is refused where it was made at or before the moment of the tenant, and by nothing else", () => {
  const key: ApiKey = {
    id: "key_x" as ApiKeyId,
    name: "ci",
    secretHash: "",
    permissions: [],
    createdAt: T,
    expiresAt: T + 1,
  };
  const of = (changes: Partial<Revocations>) => isKeyRevoked({ ...NO_REVOCATIONS, ...changes }, key);
  expect(of({})).toBe(false);
  expect(of({ notBefore: T - 1 })).toBe(false);
  expect(of({ notBefore: T })).toBe(true);
  expect(of({ notBefore: T + 1 })).toBe(true);
  expect(of({ subjects: since(T + 1, "key_x"), tokens: named("key_x") })).toBe(false);
});
