import { generateKeyPairSync, type KeyObject, randomUUID } from "node:crypto";
import { es256, type JwsRecipe, jwkOf, type Members, makeJws } from "./hand-made-jws.ts";

/** A key that signs for an issuer, and as the issuer publishes it. */
export interface SigningKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly published: Members;
}

export function makeSigningKey(kid: string): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { kid, privateKey, published: jwkOf(publicKey, { kid, alg: "ES256", use: "sig" }) };
}

/** A good access token of an issuer that serves one tenant alone, each time another; or what the recipe makes of it. */
export function accessToken(
  of: {
    readonly issuer: string;
    readonly audience: string;
    readonly key: SigningKey;
    /** Seconds since 1970. */
    readonly now: number;
  },
  recipe: JwsRecipe = {},
): string {
  const { issuer, audience, key, now } = of;
  return makeJws(
    {
      header: { alg: "ES256", typ: "at+jwt", kid: key.kid },
      claims: {
        iss: issuer,
        sub: "ada",
        aud: audience,
        iat: now,
        exp: now + 300,
        jti: randomUUID(),
        client_id: "program",
        scope: "tickets:read tickets:write",
      },
      sign: es256(key.privateKey),
    },
    recipe,
  );
}
