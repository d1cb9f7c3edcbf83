import { hash } from "node:crypto";
import { calculateJwkThumbprint, compactVerify, importJWK, type JWK } from "jose";
import type { TenantId } from "../core/ids.ts";
import { type Refusal, refuse } from "../core/refusal.ts";
import type { JsonObject } from "./strict-json.ts";
import { isObject, own, readTokenParts } from "./token-parts.ts";

/** What a proof is checked against (RFC 9449 section 4.3). */
export interface ProofToCheck {
  /** Values of all `DPoP` headers of the request. */
  readonly proofs: readonly string[];
  /** The access token that the proof came with, already verified. */
  readonly token: string;
  /** `cnf.jkt` of that token: the thumbprint of the key that it is bound to. */
  readonly boundTo: string;
  /** The request's method. */
  readonly method: string;
  /** The endpoint's resource identifier, from configuration. */
  readonly url: string;
  readonly tenantId: TenantId;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/** Checks proofs of possession. */
export interface ProofChecker {
  /**
   * @returns null for a good proof, which is used up by that; or a refusal `dpop_proof_invalid` whose cause names the
   *   broken rule and no value.
   * @throws whatever `remember` does: a proof that cannot be remembered is not accepted.
   */
  check(proof: ProofToCheck): Promise<Refusal | null>;
}

/**
 * Remembers a used proof for all instances.
 *
 * @param hash SHA-256, of which two proofs have the same only where they are the same.
 * @param expiresAt milliseconds since 1970 after which the proof is too old to count anyway.
 * @returns false where it was there already.
 */
export type RememberProof = (tenantId: TenantId, hash: Uint8Array, expiresAt: number) => Promise<boolean>;

/** Algorithms that proofs may be signed with: asymmetric only (RFC 9449 section 4.3, check 5). */
export const PROOF_ALGORITHMS: readonly string[] = [
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
  "PS256",
  "RS256",
];

/** Longest proof that is looked at, in characters. */
const MAX_PROOF_LENGTH = 8_192;
const MAX_JTI_LENGTH = 255;
/** How old a proof may be, and how far in the future: the clocks of clients differ from ours. */
const MAX_AGE_SECONDS = 60;
const MAX_AHEAD_SECONDS = 30;
/** How much longer than it counts a proof is remembered: the clocks of instances and database differ as well. */
const MARGIN_SECONDS = 60;
/** Members that a private or symmetric key has (RFC 7518 section 6). */
const SECRET_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
/** What makes a public key: the rest of a JWK is not looked at. */
const KEY_MEMBERS: ReadonlyMap<unknown, readonly string[]> = new Map([
  ["EC", ["kty", "crv", "x", "y"]],
  ["OKP", ["kty", "crv", "x"]],
  ["RSA", ["kty", "n", "e"]],
]);

/**
 * @param options.remembered most proofs kept in this instance's own memory, which spares the database the plain replays.
 *   Default 10,000.
 */
export function createProofChecker(options: {
  readonly remember: RememberProof;
  readonly remembered?: number;
}): ProofChecker {
  const { remember, remembered = 10_000 } = options;
  const recent = new Set<string>();

  /** False where the proof was used before. */
  async function use(tenantId: TenantId, digest: Buffer, expiresAt: number): Promise<boolean> {
    const key = `${tenantId} ${digest.toString("base64")}`;
    if (recent.has(key)) return false;
    recent.add(key);
    const oldest = recent.size > remembered ? recent.values().next().value : undefined;
    if (oldest !== undefined) recent.delete(oldest);
    try {
      return await remember(tenantId, digest, expiresAt);
    } catch (error) {
      // Not accepted, and perhaps not taken down: whether the same one still counts is for the database to say.
      recent.delete(key);
      throw error;
    }
  }

  return {
    async check(wanted) {
      const [proof, second] = wanted.proofs;
      if (proof === undefined) return invalid("no proof");
      if (second !== undefined) return invalid("more than one DPoP header");
      if (proof.length > MAX_PROOF_LENGTH) return invalid("a proof over 8 KB");
      const read = readTokenParts(proof);
      if (typeof read === "string") return invalid(read);

      const header = checkHeader(read.header);
      if (typeof header === "string") return invalid(header);
      const claims = checkClaims(read.payload, wanted);
      if (typeof claims === "string") return invalid(claims);

      // Before the signature: only the key that the issuer has bound the token to is worth the work.
      const thumbprint = await thumbprintOf(header.key);
      if (thumbprint !== wanted.boundTo) return invalid("jwk is not the key that the token is bound to");
      try {
        const key = await importJWK(header.key, header.alg);
        await compactVerify(proof, key, { algorithms: [header.alg] });
      } catch {
        return invalid("the signature does not match");
      }

      const digest = hash("sha256", `${thumbprint} ${claims.jti}`, "buffer");
      const expiresAt = Math.ceil((claims.iat + MAX_AGE_SECONDS + MARGIN_SECONDS) * 1000);
      return (await use(wanted.tenantId, digest, expiresAt)) ? null : invalid("the proof was used before");
    },
  };
}

function checkHeader(header: JsonObject): { readonly alg: string; readonly key: JWK } | string {
  if (own(header, "typ") !== "dpop+jwt") return "typ is not dpop+jwt";
  const alg = own(header, "alg");
  if (typeof alg !== "string" || !PROOF_ALGORITHMS.includes(alg)) return "alg is not allowed";
  // RFC 7515 section 4.1.11: an extension that is not understood must be refused, and none is understood here.
  if (Object.hasOwn(header, "crit")) return "crit names an extension";
  const jwk = own(header, "jwk");
  if (!isObject(jwk)) return "jwk is not a key";
  if (SECRET_MEMBERS.some((name) => Object.hasOwn(jwk, name))) return "jwk is not a public key";
  const members = KEY_MEMBERS.get(own(jwk, "kty"));
  if (members === undefined) return "jwk is not a public key";
  const key: Record<string, string> = {};
  for (const name of members) {
    const value = own(jwk, name);
    if (typeof value !== "string" || value === "") return "jwk lacks a member";
    key[name] = value;
  }
  return { alg, key };
}

function checkClaims(
  payload: JsonObject,
  wanted: ProofToCheck,
): { readonly jti: string; readonly iat: number } | string {
  const jti = own(payload, "jti");
  if (typeof jti !== "string" || jti === "" || jti.length > MAX_JTI_LENGTH) return "jti is not an identifier";
  if (own(payload, "htm") !== wanted.method) return "htm is not the request's method";
  const htu = own(payload, "htu");
  const endpoint = typeof htu === "string" ? endpointOf(htu) : null;
  if (endpoint === null || endpoint !== endpointOf(wanted.url)) return "htu is not this endpoint";
  const iat = own(payload, "iat");
  if (typeof iat !== "number" || !Number.isFinite(iat)) return "iat is not a time";
  const age = wanted.nowMs / 1000 - iat;
  if (age > MAX_AGE_SECONDS) return "iat is too long ago";
  if (age < -MAX_AHEAD_SECONDS) return "iat is in the future";
  if (own(payload, "ath") !== hash("sha256", wanted.token, "base64url")) return "ath is not of this token";
  // `nonce` is not looked at: none is ever asked for (RFC 9449 section 9).
  return { jti, iat };
}

/** Printable ASCII without the backslash: the URL parser would mend that, spaces and line breaks. */
const WEB_ADDRESS = /^https?:\/\/[!-[\]-~]+$/i;

/** Scheme, host and path, normalised: query and fragment do not count (RFC 9449 section 4.3, check 9). */
function endpointOf(text: string): string | null {
  if (!WEB_ADDRESS.test(text) || !URL.canParse(text)) return null;
  const url = new URL(text);
  return url.username === "" && url.password === "" ? url.origin + url.pathname : null;
}

async function thumbprintOf(key: JWK): Promise<string | null> {
  try {
    return await calculateJwkThumbprint(key, "sha256");
  } catch {
    return null;
  }
}

function invalid(cause: string): Refusal {
  return refuse("dpop_proof_invalid", { cause });
}
