import { generateKeyPairSync } from "node:crypto";
import { es256, type JwsRecipe, jwkOf, type Members, makeJws } from "../support/hand-made-jws.ts";
import { createFakeClock } from "./fake-clock.ts";

export const RESOURCE = "https://mcp.example.com/t/acme/mcp";
export const OTHER_RESOURCE = "https://mcp.example.com/t/globex/mcp";
export const SHARED = "https://mcp.example.com/mcp";

/** Seconds at which every fake clock begins. */
export const NOW = Math.floor(createFakeClock().now() / 1000);

/** The keys of the issuer that tests trust, and those of nobody it knows. */
export const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
export const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" });
export const OWN_JWK = jwkOf(own.publicKey, { kid: "k1", alg: "ES256", use: "sig" });
export const STRANGERS_JWK = jwkOf(stranger.publicKey, { kid: "k2", alg: "ES256", use: "sig" });

/** Claims of a good token of `iss`. */
export function goodClaims(iss: string): Members {
  return {
    iss,
    sub: "ada",
    aud: RESOURCE,
    exp: NOW + 300,
    iat: NOW,
    jti: "j1",
    client_id: "c1",
    scope: "tickets:read tickets:write",
    tenant_id: "tnt_acme",
  };
}

/** A token of `iss`, signed by {@link own} where the recipe says nothing else. */
export function makeToken(iss: string, recipe: JwsRecipe = {}): string {
  const header = { alg: "ES256", typ: "at+jwt", kid: "k1" };
  return makeJws({ header, claims: goodClaims(iss), sign: es256(own.privateKey) }, recipe);
}
