import { createHmac, generateKeyPairSync, type KeyPairKeyObjectResult, randomBytes } from "node:crypto";
import { createIdSource, type IssuerId } from "../../../src/core/ids.ts";
import { makeApiKey } from "../../../src/identity/api-key.ts";
import { introspectionSecretContext } from "../../../src/identity/introspection.ts";
import { createSecretBox } from "../../../src/identity/secret-box.ts";
import {
  es256,
  type JwsRecipe,
  jwkOf,
  type Members,
  makeJws,
  type Signer,
  thumbprintOf,
} from "../../support/hand-made-jws.ts";
import { makeProof } from "../../support/hand-made-proof.ts";
import { mcpMessage, send } from "../../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../../support/running-server.ts";
import { type FakeIssuer, startFakeIssuer } from "../fake-issuer.ts";
import { answerBadly } from "./bad-key-endpoints.ts";
import { INTROSPECTION_CLIENT, startIntrospection } from "./introspection-endpoint.ts";
import { ISSUERS, type IssuerName, TENANTS, type TenantSlug } from "./registrations.ts";

/** One HTTP request. */
export interface Request {
  readonly url: string;
  readonly headers: Record<string, string | string[]>;
  readonly body: string;
}

/** A token: whose, and how it differs from a good one of that issuer. */
export interface TokenRecipe extends JwsRecipe {
  /** The issuer whose good token it starts from. Default `acme`. */
  readonly from?: IssuerName;
}

/** A running server with eight tenants, their issuers, a broker, and everything that is needed to lie to it. */
export interface Setting {
  readonly server: TestServer;
  /** Seconds since 1970; the server's clock stands there. */
  readonly now: number;
  readonly origin: string;
  readonly shared: string;
  /** The key pairs that sign: `first` of most issuers, `revoked` as well, `second`, `third` and `broker` of the others. */
  readonly keys: Readonly<
    Record<"first" | "revoked" | "second" | "third" | "broker", KeyPairKeyObjectResult>
  >;
  /** Published for encryption as `encryption`, and with its private part as `leaked`. */
  readonly leaked: KeyPairKeyObjectResult;
  /** Signs with the symmetric key that is published as `oct`. */
  readonly symmetric: Signer;
  readonly rsa: KeyPairKeyObjectResult;
  readonly weakRsa: KeyPairKeyObjectResult;
  /** Of a client that proves possession, and of another. */
  readonly client: KeyPairKeyObjectResult;
  readonly otherClient: KeyPairKeyObjectResult;
  /** Requests for key sets so far, of all issuers. */
  keyRequests(): number;
  /** Lets milliseconds pass for all that is not the time of day; then the server has looked at its configuration again. */
  pass(milliseconds: number): Promise<void>;
  urlOf(tenant: TenantSlug): string;
  idOf(tenant: TenantSlug): string;
  issuer(name: IssuerName): string;
  /** Members of a good token. */
  claims(from?: IssuerName): Members;
  token(recipe?: TokenRecipe): string;
  /** A token of `bound`, bound to the client's key. */
  boundToken(recipe?: TokenRecipe): string;
  /** A request for the list of tools, with a token as Bearer. */
  ask(
    token: string | null,
    change?: { url?: string; headers?: Record<string, string | string[]>; body?: string },
  ): Request;
  /** The same of a token that is bound, with a proof for it. */
  prove(
    token: string,
    change?: { url?: string; recipe?: JwsRecipe; by?: KeyPairKeyObjectResult; htu?: string },
  ): Request;
  /** API keys by what is the matter with them. */
  readonly apiKeys: Readonly<
    Record<"good" | "expired" | "ofStrict" | "switchedOff" | "old" | "fresh", string>
  >;
  close(): Promise<void>;
}

const KEY_OF: Readonly<Record<"first" | "second" | "third" | "broker", string>> = {
  first: "k1",
  second: "k2",
  third: "k3",
  broker: "k9",
};

const ec = (): KeyPairKeyObjectResult => generateKeyPairSync("ec", { namedCurve: "P-256" });

export async function startSetting(): Promise<Setting> {
  // Ahead of the database's, which leaves out the API keys that have expired: one that expires in between is read.
  const now = Math.floor(Date.now() / 1000) + 600;
  const masterKey = randomBytes(32).toString("base64url");
  let passed = 0;
  const server = await startTestServer({
    settings: {
      clock: { now: () => now * 1000, monotonic: () => performance.now() + passed },
      masterKey,
      // The causes of refusals are told at this level only.
      logLevel: "debug",
    },
  });
  const { database } = server;
  const ids = createIdSource(Date.now);
  const keys = { first: ec(), revoked: ec(), second: ec(), third: ec(), broker: ec() };
  const leaked = ec();
  const secret = randomBytes(32);
  const symmetric: Signer = (input) => createHmac("sha256", secret).update(input).digest("base64url");
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const weakRsa = generateKeyPairSync("rsa", { modulusLength: 1024 });
  const client = ec();
  const otherClient = ec();

  const [first, second, third, broker, bad, asked] = await Promise.all([
    startFakeIssuer(),
    startFakeIssuer(),
    startFakeIssuer(),
    startFakeIssuer(),
    startFakeIssuer(),
    startIntrospection(),
  ]);
  const idps: Readonly<Record<"first" | "second" | "third" | "broker", FakeIssuer>> = {
    first,
    second,
    third,
    broker,
  };
  const published = (pair: KeyPairKeyObjectResult, kid: string, members: Members = {}): Members =>
    jwkOf(pair.publicKey, { kid, alg: "ES256", use: "sig", ...members });
  first.publish(
    published(keys.first, "k1"),
    published(keys.revoked, "revoked"),
    published(rsa, "rsa", { alg: "RS256" }),
    published(weakRsa, "weak", { alg: "RS256" }),
    published(leaked, "encryption", { use: "enc" }),
    jwkOf(leaked.privateKey, { kid: "leaked", alg: "ES256", use: "sig" }),
    { kty: "oct", kid: "oct", k: secret.toString("base64url") },
  );
  second.publish(published(keys.second, "k2"));
  third.publish(published(keys.third, "k3"));
  broker.publish(published(keys.broker, "k9"));
  bad.answer = answerBadly({
    keySet: `${first.origin}/jwks`,
    text: JSON.stringify({ keys: [published(keys.first, "k1")] }),
  });

  // ---- tenants ----------------------------------------------------------------------------------------------------
  const tenantIds = new Map<string, string>([
    ["acme", server.acme.id],
    ["globex", server.globex.id],
  ]);
  for (const { slug, dpop, status } of TENANTS) {
    const id = tenantIds.get(slug) ?? ids.tenant();
    tenantIds.set(slug, id);
    await database.admin(
      `INSERT INTO bulkhead.tenants (id, slug, name, plan, dpop, status, api_keys) VALUES ($1, $2, $2, 'enterprise', $3, $4, $5)
       ON CONFLICT (slug) DO UPDATE SET plan = excluded.plan, dpop = excluded.dpop, api_keys = excluded.api_keys`,
      [id, slug, dpop, status, slug !== "globex"],
    );
  }
  const idOf = (slug: TenantSlug): string => tenantIds.get(slug) ?? "";

  // ---- issuers ----------------------------------------------------------------------------------------------------
  const originOf = (name: IssuerName): string => {
    const { idp } = ISSUERS[name];
    return idp === "bad" ? bad.origin : idp === "asked" ? asked.origin : idps[idp].origin;
  };
  const issuer = (name: IssuerName): string => `${originOf(name)}/${name}`;
  const issuerIds = new Map<IssuerName, IssuerId>();
  const box = createSecretBox(masterKey);
  for (const name of Object.keys(ISSUERS) as IssuerName[]) {
    const of = ISSUERS[name];
    const id = ids.issuer();
    issuerIds.set(name, id);
    const introspects = of.idp === "asked";
    await database.admin(
      `INSERT INTO bulkhead.issuers (id, tenant_id, issuer, jwks_uri, audience, other_audiences, tenant_claim, tenant_claim_form,
         tenant_value, scope_claims, roles_claim, algorithms, token_type, max_lifetime_seconds,
         introspection_endpoint, introspection_client_id, introspection_secret)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
      [
        id,
        of.tenant === null ? null : idOf(of.tenant),
        issuer(name),
        introspects ? null : (of.jwksUri ?? `${originOf(name)}/jwks${of.idp === "bad" ? `/${name}` : ""}`),
        of.audience ?? null,
        of.otherAudiences ?? [],
        of.claim ?? null,
        of.claimForm ?? "text",
        of.tenant === null ? null : (of.value ?? null),
        of.scopeClaims ?? ["scope"],
        of.rolesClaim ?? null,
        of.algorithms ?? ["ES256"],
        of.tokenType ?? "at+jwt",
        of.maxLifetimeSeconds ?? 3_600,
        introspects ? asked.endpoint : null,
        introspects ? INTROSPECTION_CLIENT.id : null,
        introspects
          ? Buffer.from(box.seal(INTROSPECTION_CLIENT.secret, introspectionSecretContext(id)))
          : null,
      ],
    );
  }
  for (const [value, slug] of [
    ["org-acme", "acme"],
    ["org-globex", "globex"],
    ["org-closed", "closed"],
  ] as const) {
    await database.admin(
      "INSERT INTO bulkhead.broker_tenants (issuer_id, claim_value, tenant_id) VALUES ($1, $2, $3)",
      [issuerIds.get("broker"), value, idOf(slug)],
    );
  }

  // ---- API keys ---------------------------------------------------------------------------------------------------
  const addKey = async (
    slug: TenantSlug,
    of: { expires?: number; created?: number } = {},
  ): Promise<string> => {
    const id = ids.apiKey();
    const made = makeApiKey(id, randomBytes);
    await database.admin(
      `INSERT INTO bulkhead.api_keys (id, tenant_id, name, secret_hash, permissions, expires_at, created_by, created_at)
       VALUES ($1, $2, 'test', $3, '{tickets:read}', to_timestamp($4), '{}', to_timestamp($5))`,
      [id, idOf(slug), Buffer.from(made.secretHash), now + (of.expires ?? 86_400), now + (of.created ?? 0)],
    );
    return made.text;
  };
  const apiKeys = {
    good: await addKey("acme"),
    expired: await addKey("acme", { expires: 0 }),
    ofStrict: await addKey("strict"),
    switchedOff: await addKey("globex"),
    old: await addKey("renewed", { created: -60 }),
    fresh: await addKey("renewed"),
  };

  // ---- revocations ------------------------------------------------------------------------------------------------
  const revoke = (
    slug: TenantSlug,
    of: { kind: string; issuer?: string; value?: string; notBefore?: number },
  ) =>
    database.admin(
      `INSERT INTO bulkhead.revocations (id, tenant_id, kind, issuer, value, not_before, created_by)
       VALUES ($1, $2, $3, $4, $5, to_timestamp($6), '{}')`,
      [ids.revocation(), idOf(slug), of.kind, of.issuer ?? null, of.value ?? null, of.notBefore ?? null],
    );
  await revoke("acme", { kind: "token", issuer: issuer("acme"), value: "revoked-token" });
  await revoke("acme", { kind: "subject", issuer: issuer("acme"), value: "mallory", notBefore: now - 60 });
  await revoke("acme", { kind: "signing_key", issuer: issuer("acme"), value: "revoked" });
  await revoke("acme", { kind: "signing_key", issuer: issuer("revoked"), value: "k2" });
  await revoke("renewed", { kind: "tenant", notBefore: now - 60 });

  // ---- requests ---------------------------------------------------------------------------------------------------
  const urlOf = (tenant: TenantSlug): string => `${server.url}/t/${tenant}/mcp`;
  let made = 0;
  const claims = (from: IssuerName = "acme"): Members => {
    const { tenant, claim, value, audience } = ISSUERS[from];
    return {
      iss: issuer(from),
      sub: "ada",
      aud: audience ?? (tenant === null ? server.shared : urlOf(tenant)),
      exp: now + 300,
      iat: now,
      jti: `token-${++made}`,
      client_id: "c1",
      scope: "tickets:read tickets:write",
      ...(claim === undefined ? {} : { [claim]: value }),
    };
  };
  const token = ({ from = "acme", ...recipe }: TokenRecipe = {}): string => {
    const { idp } = ISSUERS[from];
    const signer = idp === "bad" || idp === "asked" ? "first" : idp;
    return makeJws(
      {
        header: { alg: "ES256", typ: "at+jwt", kid: KEY_OF[signer] },
        claims: claims(from),
        sign: es256(keys[signer].privateKey),
      },
      recipe,
    );
  };
  // A change through the admin API makes the server look for all the others as well.
  const { status } = await server.admin("PATCH", "/tenants/acme", {
    roles: { lead: ["tickets:manage"], reader: ["tickets:read"] },
  });
  if (status !== 200) throw new TypeError(`The change was answered with ${status}.`);

  return {
    server,
    now,
    origin: server.url,
    shared: server.shared,
    keys,
    leaked,
    symmetric,
    rsa,
    weakRsa,
    client,
    otherClient,
    apiKeys,
    keyRequests: () => [first, second, third, broker, bad].reduce((sum, idp) => sum + idp.requests(), 0),
    async pass(milliseconds) {
      passed += milliseconds;
      while ((await send(`${server.url}/readyz`, { method: "GET" })).status !== 200);
    },
    urlOf,
    idOf,
    issuer,
    claims,
    token,
    boundToken: ({ claims: changes, ...recipe } = {}) =>
      token({
        from: "bound",
        claims: { cnf: { jkt: thumbprintOf(client.publicKey) }, ...changes },
        ...recipe,
      }),
    ask(bearer, { url = urlOf("acme"), headers = {}, body } = {}) {
      const good = mcpMessage(bearer, "tools/list");
      return { url, headers: { ...good.headers, ...headers }, body: body ?? good.body };
    },
    prove(bound, { url = urlOf("bound"), recipe = {}, by = client, htu = url } = {}) {
      const good = mcpMessage(bound, "tools/list");
      const dpop = makeProof({ keys: by, token: bound, url: htu, now }, recipe);
      return { url, headers: { ...good.headers, authorization: `DPoP ${bound}`, dpop }, body: good.body };
    },
    async close() {
      await server.close();
      await Promise.all([first, second, third, broker, bad].map((idp) => idp.close()));
      await asked.close();
    },
  };
}
