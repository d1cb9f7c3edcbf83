import { generateKeyPairSync, randomBytes, randomUUID } from "node:crypto";
import type { FakeIssuer } from "../../identity/fake-issuer.ts";
import { accessToken, type SigningKey } from "../../support/access-token.ts";
import { encode, es256, type JwsRecipe, jwkOf, makeJws, thumbprintOf } from "../../support/hand-made-jws.ts";
import { makeProof } from "../../support/hand-made-proof.ts";
import { mcpMessage } from "../../support/mcp-request.ts";
import { ECHOES, type TalkativeEndpoint } from "./issuers.ts";
import type { Recorder } from "./recorder.ts";

/** What the traffic is sent to, and whose tokens it has. */
export interface Target {
  readonly recorder: Recorder;
  /** Of the server. */
  readonly url: string;
  readonly operatorToken: string;
  readonly idp: FakeIssuer;
  /** Signs for acme's issuer, at the provider's origin. */
  readonly key: SigningKey;
  readonly endpoint: TalkativeEndpoint;
}

export const acmeOf = ({ url }: Target): string => `${url}/t/acme/mcp`;
const seconds = (): number => Math.floor(Date.now() / 1000);

/** A token of acme's issuer. */
export function tokenOf(at: Target, name: string, recipe: JwsRecipe = {}): string {
  const of = { issuer: at.idp.origin, audience: acmeOf(at), key: at.key, now: seconds() };
  return at.recorder.jws(name, accessToken(of, recipe));
}

/** A tool call, with a token as Bearer or with these headers. */
export function calling(
  token: string | null,
  tool: string,
  args: Record<string, unknown> = {},
  more: Record<string, string | string[]> = {},
) {
  const { headers, body } = mcpMessage(token, "tools/call", { name: tool, arguments: args });
  return { headers: { ...headers, ...more }, body };
}

/** Credentials of every kind, good ones and what is refused of each. */
export async function sendCredentials(at: Target): Promise<void> {
  await sendTokens(at);
  await sendKeys(at);
  await sendProofs(at);
  await sendOpaqueTokens(at);
  await sendInStrangePlaces(at);
}

async function sendTokens(at: Target): Promise<void> {
  const { recorder } = at;
  const acme = acmeOf(at);
  const good = tokenOf(at, "a good token");
  // The second time it is remembered.
  await recorder.send(200, acme, calling(good, "tell"));
  await recorder.send(200, acme, calling(good, "tell"));
  await recorder.send(401, `${at.url}/t/globex/mcp`, calling(good, "tell"));
  await recorder.send(401, `${at.url}/mcp`, calling(good, "tell"));

  const now = seconds();
  const signature = good.split(".")[2];
  const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const refused: readonly (readonly [string, JwsRecipe])[] = [
    ["a token with a bad signature", { sign: es256(stranger.privateKey) }],
    ["a token of another audience", { claims: { aud: `${at.url}/t/globex/mcp` } }],
    ["an expired token", { claims: { iat: now - 600, exp: now - 300 } }],
    ["a token of an unknown issuer", { claims: { iss: "https://idp.example" } }],
    ["a token of a key that is not there", { header: { kid: randomUUID() } }],
    ["a token of another type", { header: { typ: "JWT" } }],
    ["a token that is not signed", { header: { alg: "none" }, sign: () => "" }],
    ["a token with a broken payload", { rawPayload: `{"iss":"${at.idp.origin}",` }],
    ["a token with a member twice", { rawPayload: `{"iss":"a","iss":"${at.idp.origin}"}` }],
    ["a token whose scope is none", { claims: { scope: 5 } }],
    ["a token that another one is inside", { claims: { jti: good }, header: { kid: good } }],
    // As much of another as an identifier may have: it is looked for.
    ["a token that a signature is inside", { claims: { jti: signature }, header: { kid: signature } }],
  ];
  for (const [name, recipe] of refused)
    await recorder.send(401, acme, calling(tokenOf(at, name, recipe), "tell"));

  const long = tokenOf(at, "a token over 16 KB", { claims: { padding: "x".repeat(12_500) } });
  await recorder.send(400, acme, calling(long, "tell"));
  const [one, two] = [tokenOf(at, "the first of two"), tokenOf(at, "the second of two")];
  const twice = { authorization: [`Bearer ${one}`, `Bearer ${two}`] };
  await recorder.send(400, acme, calling(null, "tell", {}, twice));
  await recorder.send(400, acme, calling(null, "tell", {}, { authorization: `Bearer ${one} ${two}` }));
  await recorder.send(400, acme, calling(null, "tell", {}, { authorization: `Token ${one}` }));
  await recorder.send(400, acme, calling(null, "tell", {}, { authorization: `Bearer ${one}é` }));
  const inQuery = tokenOf(at, "a token in the query");
  await recorder.send(400, `${acme}?access_token=${inQuery}`, calling(null, "tell"));
  await recorder.send(400, `${acme}?access_token=${inQuery}`, calling(good, "tell"));
  await recorder.send(200, `${acme}?token=${inQuery}`, calling(good, "tell"));
  // Its issuer's keys cannot be had.
  const unreachable = tokenOf(at, "a token of an issuer that is away", {
    claims: { iss: `${at.idp.origin}/away` },
  });
  await recorder.send(503, acme, calling(unreachable, "tell"));
}

async function sendKeys(at: Target): Promise<void> {
  const { recorder } = at;
  const acme = acmeOf(at);
  const created = await recorder.send(
    201,
    `${at.url}/admin/v1/tenants/acme/keys`,
    {
      headers: { authorization: `Bearer ${at.operatorToken}`, "content-type": "application/json" },
      body: JSON.stringify({ name: "machine", permissions: ["tickets:read", "tickets:write"] }),
    },
    { givesOut: true },
  );
  const key = recorder.secret("an API key", String(created.json.key));
  recorder.secret("the secret of an API key", key.slice(-43));
  await recorder.send(200, acme, calling(key, "tell"));
  await recorder.send(200, `${at.url}/mcp`, calling(key, "tell"));
  const wrong = recorder.secret("a wrong secret", randomBytes(32).toString("base64url"));
  await recorder.send(401, acme, calling(key.slice(0, -43) + wrong, "tell"));
  await recorder.send(401, acme, calling(`${key}x`, "tell"));
  await recorder.send(401, `${at.url}/t/globex/mcp`, calling(key, "tell"));
  await recorder.send(403, `${at.url}/admin/v1/tenants/acme`, {
    method: "GET",
    headers: { authorization: `Bearer ${key}` },
  });
}

async function sendProofs(at: Target): Promise<void> {
  const { recorder } = at;
  const acme = acmeOf(at);
  const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const other = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const cnf = { jkt: thumbprintOf(keys.publicKey) };
  const token = tokenOf(at, "a bound token", { claims: { cnf } });
  const proof = (name: string, recipe: JwsRecipe = {}): string =>
    recorder.jws(name, makeProof({ keys, token, url: acme, now: seconds() }, recipe));
  const proving = (dpop: string | string[]) =>
    calling(null, "tell", {}, { authorization: `DPoP ${token}`, dpop });
  const good = proof("a good proof");
  await recorder.send(200, acme, proving(good));
  await recorder.send(401, acme, proving(good));
  await recorder.send(401, acme, proving(proof("a proof by another key", { sign: es256(other.privateKey) })));
  await recorder.send(
    401,
    acme,
    proving(proof("a proof with another key", { header: { jwk: jwkOf(other.publicKey) } })),
  );
  await recorder.send(401, acme, proving(proof("a proof for another address", { claims: { htu: at.url } })));
  await recorder.send(401, acme, proving(proof("a proof of no token", { without: ["ath"] })));
  await recorder.send(401, acme, proving(proof("a proof over 8 KB", { claims: { p: "x".repeat(7_000) } })));
  await recorder.send(
    401,
    acme,
    proving(
      proof("a proof with the private key", { header: { jwk: keys.privateKey.export({ format: "jwk" }) } }),
    ),
  );
  await recorder.send(401, acme, proving([proof("the first of two proofs"), proof("the second proof")]));
  await recorder.send(401, acme, calling(token, "tell"));
  await recorder.send(401, acme, proving("no proof at all"));
}

async function sendOpaqueTokens(at: Target): Promise<void> {
  const { recorder, endpoint } = at;
  const acme = acmeOf(at);
  const active = endpoint.tokenFor((_token, res) =>
    res.end(
      JSON.stringify({
        active: true,
        iss: endpoint.origin,
        sub: "opal",
        aud: acme,
        exp: seconds() + 300,
        iat: seconds(),
        scope: "tickets:read",
      }),
    ),
  );
  recorder.secret("an opaque token", active);
  await recorder.send(200, acme, calling(active, "tell"));
  await recorder.send(200, acme, calling(active, "tell"));
  const unknown = recorder.secret("an unknown opaque token", randomBytes(32).toString("base64url"));
  await recorder.send(401, acme, calling(unknown, "tell"));
  await recorder.send(401, `${at.url}/t/globex/mcp`, calling(unknown, "tell"));
  for (const [status, echo] of ECHOES) {
    const token = recorder.secret(`an opaque token, answered by ${echo.toString()}`, endpoint.tokenFor(echo));
    await recorder.send(status, acme, calling(token, "tell"));
  }
}

/** Where no client would put a token, and a confused one does. */
async function sendInStrangePlaces(at: Target): Promise<void> {
  const { recorder } = at;
  const acme = acmeOf(at);
  const good = tokenOf(at, "a good token, sent beside strange ones");
  const strange = tokenOf(at, "a token in a strange place");
  const send = (status: number, url: string, request: Parameters<Recorder["send"]>[2]) =>
    recorder.send(status, url, request);
  await send(404, `${at.url}/t/${strange}/mcp`, calling(null, "tell"));
  await send(404, `${at.url}/${strange}`, { method: "GET" });
  await send(404, `${at.url}/admin/v1/tenants/${strange}`, {
    method: "GET",
    headers: { authorization: `Bearer ${at.operatorToken}` },
  });
  await send(403, acme, calling(good, "tell", {}, { host: `${strange.slice(-60)}.example` }));
  await send(403, acme, calling(good, "tell", {}, { origin: `https://${strange.slice(-60)}.example` }));
  await send(401, acme, calling(null, "tell", {}, { cookie: `access_token=${strange}` }));
  await send(200, acme, calling(good, "tell", {}, { "user-agent": strange, "mcp-session-id": strange }));
  await send(400, acme, calling(good, "tell", {}, { "mcp-name": strange }));
  await send(400, acme, calling(good, "tell", {}, { "mcp-protocol-version": strange }));
  await send(400, acme, calling(good, "tell", {}, { "mcp-method": strange }));
  await send(415, acme, calling(good, "tell", {}, { "content-type": strange }));
  const { headers } = calling(good, "tell");
  await send(400, acme, { headers, body: `{"jsonrpc": ${strange}` });
  await send(400, acme, { headers, body: `${encode(strange)} is no JSON` });
  await send(400, acme, { headers, body: JSON.stringify({ jsonrpc: strange, id: 1, method: strange }) });
  const unsigned = makeJws({ header: { alg: "none" }, claims: {}, sign: () => "" });
  await send(401, acme, calling(`${unsigned}${strange.slice(-86)}`, "tell"));
}
