/** Verifies access tokens as the server does, and their bare signatures, and tells what each costs. */
import { createPublicKey, generateKeyPairSync, type KeyObject, verify } from "node:crypto";
import { exportJWK, SignJWT } from "jose";
import { systemClock } from "../../src/core/clock.ts";
import { createIdSource } from "../../src/core/ids.ts";
import { isRefusal } from "../../src/core/refusal.ts";
import { createKeySets, type KeySets } from "../../src/identity/key-sets.ts";
import { createTokenVerifier, type TokenVerifier } from "../../src/identity/token-verifier.ts";
import type { TrustedIssuer } from "../../src/tenancy/tenant-snapshot.ts";
import { answerOrders } from "./answer-orders.ts";

/** Every token is another one. */
const TOKENS = 2_000;
const RESOURCE = "https://mcp.example.com/t/acme/mcp";
const ISSUER = "https://login.acme.example";

export type SignatureAlgorithm = "ES256" | "RS256";
/** `bare`: the signature alone; `first`: a token never seen before, its key known; `cached`: one seen before. */
export type WayToVerify = "bare" | "first" | "cached";

export type VerifierOrder =
  | { readonly do: "prepare"; readonly algorithm: SignatureAlgorithm }
  | {
      readonly do: "verify";
      readonly algorithm: SignatureAlgorithm;
      readonly way: WayToVerify;
      readonly seconds: number;
    };

export interface VerifierReport {
  /** Microseconds for one, one after the other. */
  readonly each: number;
  /** CPU time for one in microseconds, all threads together. */
  readonly cpuOfEach: number;
}

interface Prepared {
  readonly tokens: readonly string[];
  readonly signatures: readonly { readonly signed: Buffer; readonly signature: Buffer }[];
  readonly key: KeyObject;
  readonly keySets: KeySets;
  readonly issuer: TrustedIssuer;
  /** One that has seen every token. */
  readonly warm: TokenVerifier;
}

const prepared = new Map<SignatureAlgorithm, Prepared>();

answerOrders<VerifierOrder>({
  async answer(order) {
    if (order.do === "verify") return measure(order);
    prepared.set(order.algorithm, await prepare(order.algorithm));
    return null;
  },
  close: async () => {},
});

async function prepare(algorithm: SignatureAlgorithm): Promise<Prepared> {
  const { privateKey, publicKey } =
    algorithm === "ES256"
      ? generateKeyPairSync("ec", { namedCurve: "P-256" })
      : generateKeyPairSync("rsa", { modulusLength: 2048 });
  const jwk = { ...(await exportJWK(publicKey)), kid: "k1", alg: algorithm, use: "sig" };
  const published = Buffer.from(JSON.stringify({ keys: [jwk] }));
  const tokens: string[] = [];
  for (let i = 0; i < TOKENS; i++) {
    tokens.push(
      await new SignJWT({ client_id: "bench", scope: "tickets:read tickets:write", tenant_id: "acme" })
        .setProtectedHeader({ alg: algorithm, typ: "at+jwt", kid: "k1" })
        .setIssuer(ISSUER)
        .setSubject(`user-${i}`)
        .setAudience(RESOURCE)
        .setJti(`token-${i}`)
        .setIssuedAt()
        .setExpirationTime("1h")
        .sign(privateKey),
    );
  }
  const of = {
    tokens,
    signatures: tokens.map((token) => {
      const end = token.lastIndexOf(".");
      return {
        signed: Buffer.from(token.slice(0, end)),
        signature: Buffer.from(token.slice(end + 1), "base64url"),
      };
    }),
    key: createPublicKey({ key: jwk, format: "jwk" }),
    // What the issuer publishes, without a network.
    keySets: createKeySets({ clock: systemClock, fetch: async () => published }),
    issuer: registration(algorithm),
  };
  const warm = newVerifier(of.keySets);
  for (const token of tokens)
    await accept(warm.verify(token, { resource: RESOURCE, candidates: [of.issuer] }));
  return { ...of, warm };
}

function registration(algorithm: SignatureAlgorithm): TrustedIssuer {
  return {
    id: createIdSource(Date.now).issuer(),
    issuer: ISSUER,
    jwksUri: `${ISSUER}/keys`,
    broker: false,
    audience: null,
    otherAudiences: [],
    tenantClaim: "tenant_id",
    tenantClaimForm: "text",
    tenantValue: "acme",
    scopeClaims: ["scope"],
    rolesClaim: null,
    algorithms: [algorithm],
    tokenType: "at+jwt",
    maxLifetimeSeconds: 3_600,
    introspection: null,
    development: false,
  };
}

function newVerifier(keySets: KeySets): TokenVerifier {
  return createTokenVerifier({ clock: systemClock, keySets, cacheSize: 20_000 });
}

async function measure(order: Extract<VerifierOrder, { do: "verify" }>): Promise<VerifierReport> {
  const of = prepared.get(order.algorithm);
  if (of === undefined) throw new TypeError(`${order.algorithm} is not prepared.`);
  const pass = { bare: verifyBare, first: verifyFirst, cached: verifyCached }[order.way];
  let done = 0;
  const cpu = process.cpuUsage();
  const started = performance.now();
  const until = started + order.seconds * 1000;
  do {
    await pass(of);
    done += of.tokens.length;
  } while (performance.now() < until);
  const milliseconds = performance.now() - started;
  const used = process.cpuUsage(cpu);
  return { each: (milliseconds * 1000) / done, cpuOfEach: (used.user + used.system) / done };
}

function verifyBare({ key, signatures }: Prepared): void {
  // As JWS has them: r and s side by side (RFC 7518 section 3.4). RSA takes no notice of it.
  const how = { key, dsaEncoding: "ieee-p1363" } as const;
  for (const { signed, signature } of signatures) {
    if (!verify("sha256", signed, how, signature)) throw new TypeError("A signature does not match.");
  }
}

/** A verifier that has seen nothing, so that each token is verified and remembered; keys are known. */
async function verifyFirst({ tokens, keySets, issuer }: Prepared): Promise<void> {
  const verifier = newVerifier(keySets);
  for (const token of tokens)
    await accept(verifier.verify(token, { resource: RESOURCE, candidates: [issuer] }));
}

function verifyCached({ tokens, warm, issuer }: Prepared): void {
  for (const token of tokens) {
    const answer = warm.verify(token, { resource: RESOURCE, candidates: [issuer] });
    if (answer instanceof Promise || isRefusal(answer)) throw new TypeError("A token was not remembered.");
  }
}

async function accept(answer: ReturnType<TokenVerifier["verify"]>): Promise<void> {
  if (isRefusal(await answer)) throw new TypeError("A token was refused.");
}
