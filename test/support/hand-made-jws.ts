import { createHash, createHmac, type KeyObject, sign } from "node:crypto";

export type Members = Readonly<Record<string, unknown>>;

/** How a compact JWS differs from a good one. */
export interface JwsRecipe {
  /** Members of the payload to add or replace … */
  readonly claims?: Members;
  /** … and to leave out. */
  readonly without?: readonly string[];
  readonly header?: Members;
  readonly withoutHeader?: readonly string[];
  /** JSON texts in place of those made from the members above. */
  readonly rawHeader?: string;
  readonly rawPayload?: string;
  readonly sign?: Signer;
}

/** Makes the third part from the first two. */
export type Signer = (input: string) => string;

export const es256 =
  (key: KeyObject): Signer =>
  (input) =>
    sign("sha256", Buffer.from(input), { key, dsaEncoding: "ieee-p1363" }).toString("base64url");
/** As most libraries outside JOSE encode it. */
export const es256Der =
  (key: KeyObject): Signer =>
  (input) =>
    sign("sha256", Buffer.from(input), key).toString("base64url");
export const rs256 =
  (key: KeyObject): Signer =>
  (input) =>
    sign("sha256", Buffer.from(input), key).toString("base64url");
/** The classic confusion of algorithms: the published key as a shared secret. */
export const hs256 =
  (publicKey: KeyObject): Signer =>
  (input) =>
    createHmac("sha256", publicKey.export({ type: "spki", format: "pem" }))
      .update(input)
      .digest("base64url");

export const encode = (text: string): string => Buffer.from(text).toString("base64url");
export const sha256 = (text: string): string => createHash("sha256").update(text).digest("base64url");

export function omit(from: Members, names: readonly string[] = []): Members {
  return Object.fromEntries(Object.entries(from).filter(([name]) => !names.includes(name)));
}

/** An object as JSON text, with `extra` members put in as they are written: twice the same, for example. */
export function jsonWith(from: Members, extra: string, without: readonly string[] = []): string {
  return `${JSON.stringify(omit(from, without)).slice(0, -1)},${extra}}`;
}

/** Makes a compact JWS from the members of a good one and what is to be different. No library would make some of these. */
export function makeJws(
  good: { readonly header: Members; readonly claims: Members; readonly sign: Signer },
  recipe: JwsRecipe = {},
): string {
  const header =
    recipe.rawHeader ?? JSON.stringify(omit({ ...good.header, ...recipe.header }, recipe.withoutHeader));
  const payload =
    recipe.rawPayload ?? JSON.stringify(omit({ ...good.claims, ...recipe.claims }, recipe.without));
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${(recipe.sign ?? good.sign)(input)}`;
}

/** The same bytes in the other alphabet of base64; `make` is repeated until the signature shows the difference. */
export function inOtherAlphabet(make: () => string): string {
  let token = make();
  while (!/[-_]/.test(token.split(".")[2] ?? "")) token = make();
  const [header, payload, signature] = token.split(".");
  return [header, payload, signature?.replaceAll("-", "+").replaceAll("_", "/")].join(".");
}

/** The same bytes with bits set in the last letter that mean nothing. */
export function withStrayBits(token: string): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return token.slice(0, -1) + alphabet[alphabet.indexOf(token.at(-1) ?? "") + 1];
}

/** A public key as JWK. */
export const jwkOf = (key: KeyObject, members: Members = {}): Members => ({
  ...key.export({ format: "jwk" }),
  ...members,
});

/** Thumbprint of an elliptic-curve key (RFC 7638 section 3). */
export function thumbprintOf(key: KeyObject): string {
  const { crv, x, y } = key.export({ format: "jwk" });
  return sha256(JSON.stringify({ crv, kty: "EC", x, y }));
}
