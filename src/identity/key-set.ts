import { type CryptoKey, importJWK, type JWK } from "jose";

/** What to look for in a key set. */
export interface WantedKey {
  readonly alg: string;
  readonly kid: string | undefined;
}

/** One issuer's public keys as published at one moment. */
export interface KeySet {
  /** The one key that may have made a signature; `unknown` where there is none, `ambiguous` where there are several. */
  find(wanted: WantedKey): PublishedKey | "unknown" | "ambiguous";
  readonly keys: readonly PublishedKey[];
}

/** A published key, imported when it is first needed, and once for each algorithm. */
export interface PublishedKey {
  readonly jwk: JWK;
  readonly text: string;
  /** @throws when the key is not valid for the algorithm. */
  use(alg: string): CryptoKey | Promise<CryptoKey>;
}

const MAX_KEYS = 100;

const CURVES: Readonly<Record<string, readonly string[]>> = {
  ES256: ["P-256"],
  ES384: ["P-384"],
  ES512: ["P-521"],
  EdDSA: ["Ed25519"],
  Ed25519: ["Ed25519"],
};

/**
 * Reads a published key set (RFC 7517 section 5). Keys that cannot verify are left out: symmetric ones, those for
 * encryption, and those published with their private part, which anybody could sign with.
 *
 * @param earlier the set before: keys that have not changed keep their imported form.
 * @throws Error where it is not a key set.
 */
export function readKeySet(bytes: Uint8Array, earlier: KeySet | undefined): KeySet {
  const document = parse(bytes);
  const list: unknown = isObject(document) ? document.keys : undefined;
  if (!Array.isArray(list)) throw new Error("the answer is not a key set");
  if (list.length > MAX_KEYS) throw new Error("the key set is too large");
  const before = new Map(earlier?.keys.map((key) => [key.text, key]));
  const keys: PublishedKey[] = [];
  for (const jwk of list as unknown[]) {
    if (!isVerificationKey(jwk)) continue;
    const text = JSON.stringify(jwk);
    keys.push(before.get(text) ?? publishedKey(jwk, text));
  }
  return {
    keys,
    find({ alg, kid }) {
      const fitting = keys.filter(({ jwk }) => (kid === undefined || jwk.kid === kid) && fits(jwk, alg));
      return fitting.length > 1 ? "ambiguous" : (fitting[0] ?? "unknown");
    },
  };
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    throw new Error("the answer is not JSON");
  }
}

function publishedKey(jwk: JWK, text: string): PublishedKey {
  const imported = new Map<string, CryptoKey | Promise<CryptoKey>>();
  return {
    jwk,
    text,
    use(alg) {
      const known = imported.get(alg);
      if (known !== undefined) return known;
      const pending = importJWK(jwk, alg).then((key) => {
        if (key instanceof Uint8Array) throw new Error("the key is symmetric");
        imported.set(alg, key);
        return key;
      });
      imported.set(alg, pending);
      return pending;
    },
  };
}

function isVerificationKey(jwk: unknown): jwk is JWK {
  return (
    isObject(jwk) &&
    (jwk.kty === "RSA" || jwk.kty === "EC" || jwk.kty === "OKP") &&
    !Object.hasOwn(jwk, "d") &&
    (jwk.use === undefined || jwk.use === "sig") &&
    (jwk.key_ops === undefined || (Array.isArray(jwk.key_ops) && jwk.key_ops.includes("verify")))
  );
}

function fits(jwk: JWK, alg: string): boolean {
  if (jwk.alg !== undefined && jwk.alg !== alg) return false;
  const curves = Object.hasOwn(CURVES, alg) ? CURVES[alg] : undefined;
  if (curves === undefined) return jwk.kty === "RSA";
  return (
    jwk.kty === (alg.startsWith("ES") ? "EC" : "OKP") &&
    typeof jwk.crv === "string" &&
    curves.includes(jwk.crv)
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
