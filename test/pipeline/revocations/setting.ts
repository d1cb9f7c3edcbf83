import { generateKeyPairSync, type KeyPairKeyObjectResult } from "node:crypto";
import { defineServer, defineTool } from "../../../src/catalog/define.ts";
import { type FakeIssuer, startFakeIssuer } from "../../identity/fake-issuer.ts";
import { accessToken, makeSigningKey, type SigningKey } from "../../support/access-token.ts";
import { createTestDatabase } from "../../support/database.ts";
import { type DeafDatabase, openDeafDatabase } from "../../support/deaf-database.ts";
import { type JwsRecipe, thumbprintOf } from "../../support/hand-made-jws.ts";
import { makeProof } from "../../support/hand-made-proof.ts";
import { type HttpAnswer, mcpMessage, send } from "../../support/mcp-request.ts";
import { listen, type TestStream } from "../../support/open-stream.ts";
import { startTestServer, type TestServer } from "../../support/running-server.ts";

/** What a caller presents, anew for each request: a proof is good once. */
export interface Credential {
  /** Counts on the shared URL. */
  readonly shared?: boolean;
  headers(resource: string): Record<string, string>;
}

export const bearer = (token: string): Credential => ({
  headers: () => ({ authorization: `Bearer ${token}` }),
});

/** A tenant of one test's own, with two issuers that serve it alone. */
export interface TestTenant {
  readonly slug: string;
  readonly id: string;
  readonly issuer: string;
  readonly otherIssuer: string;
  /** A token of the first issuer, signed by its first key. */
  token(recipe?: JwsRecipe): Credential;
  tokenOf(of: { readonly issuer?: string; readonly key?: SigningKey }, recipe?: JwsRecipe): Credential;
  /** A token that is bound to a key, sent with a proof. */
  boundToken(): Credential;
  apiKey(expiresAt?: Date): Promise<Credential & { readonly id: string }>;
  /** A token of the broker for this tenant, which it is mapped to. */
  brokerToken(): Promise<Credential & { readonly brokerId: string }>;
  /** As the operator, through the first instance; what must succeed. */
  change(method: string, path: string, body?: unknown): Promise<Record<string, unknown>>;
}

/** One tool call that goes on until it is told to stop. */
export interface HeldCall {
  /** Of the signal, once it was told. */
  readonly told: () => string | undefined;
  readonly answer: Promise<HttpAnswer>;
  /** The caller goes away. */
  hangUp(): void;
}

/** Two instances of one server, with tenants whose credentials can be taken away. */
export interface Setting {
  readonly server: TestServer;
  /** The second key of every first issuer. */
  readonly secondKey: SigningKey;
  /** How many connections hear notifications. */
  listeners(): Promise<number>;
  /** How many connections that would have heard them were cut. */
  cutListeners(): number;
  newTenant(): Promise<TestTenant>;
  /** A call of a tool that only answers. */
  ask(instance: 0 | 1, tenant: Pick<TestTenant, "slug">, credential: Credential): Promise<HttpAnswer>;
  stream(instance: 0 | 1, tenant: Pick<TestTenant, "slug">, credential: Credential): Promise<TestStream>;
  /** Resolves when the call has begun. */
  hold(instance: 0 | 1, tenant: Pick<TestTenant, "slug">, credential: Credential): Promise<HeldCall>;
  close(): Promise<void>;
}

const BROKER_CLAIM = "org_id";
const LISTENED = { toolsListChanged: true };

export async function startSetting(options: { readonly deaf: boolean }): Promise<Setting> {
  /** Calls of `hold` by their name: begun, and told to stop with this code. */
  const begun = new Map<string, () => void>();
  const told = new Map<string, string>();
  const definition = defineServer({
    name: "held",
    version: "1.0.0",
    tools: [
      defineTool({
        name: "answer",
        description: "Answers.",
        annotations: { readOnlyHint: true },
        run: () => "answered",
      }),
      defineTool({
        name: "hold",
        description: "Goes on until it is told to stop.",
        input: { type: "object", properties: { name: { type: "string" } }, required: ["name"] },
        run: async ({ name }, { signal }) => {
          const stopped = new Promise((resolve) => signal.addEventListener("abort", resolve));
          begun.get(String(name))?.();
          await stopped;
          told.set(String(name), String((signal.reason as { code?: unknown }).code));
          return "stopped";
        },
      }),
    ],
  });
  const database = await createTestDatabase();
  const deaf: DeafDatabase | null = options.deaf ? await openDeafDatabase(database.adminUrl) : null;
  const server = await startTestServer({
    server: definition,
    instances: 2,
    database,
    ...(deaf === null ? {} : { settings: { databaseUrl: deaf.url } }),
  });
  const idp: FakeIssuer = await startFakeIssuer();
  const [firstKey, secondKey] = [makeSigningKey("k1"), makeSigningKey("k2")];
  const client: KeyPairKeyObjectResult = generateKeyPairSync("ec", { namedCurve: "P-256" });
  idp.publish(firstKey.published, secondKey.published);
  const jwksUri = `${idp.origin}/jwks`;
  const now = (): number => Math.floor(Date.now() / 1000);

  const change: TestTenant["change"] = async (method, path, body) => {
    const { status, json } = await server.admin(method, path, body);
    if (status >= 300) throw new TypeError(`${method} ${path}: ${status} ${JSON.stringify(json)}`);
    return json;
  };
  const broker = { issuer: `${idp.origin}/broker`, id: "" };
  broker.id = String(
    (await change("POST", "/brokers", { issuer: broker.issuer, jwksUri, tenantClaim: BROKER_CLAIM })).id,
  );

  let tenants = 0;
  let calls = 0;
  const resourceOf = (slug: string, { shared = false }: Credential): string =>
    shared ? server.shared : `${server.url}/t/${slug}/mcp`;
  /** The URL on an instance, and what is presented there. */
  const at = (instance: 0 | 1, { slug }: Pick<TestTenant, "slug">, credential: Credential) => {
    const resource = resourceOf(slug, credential);
    return {
      url: resource.replace(server.url, server.instances[instance]?.url ?? ""),
      presented: credential.headers(resource),
    };
  };

  return {
    server,
    secondKey,
    async listeners() {
      const rows = await database.admin<{ n: number }>(
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'bulkhead_listen'",
      );
      return rows[0]?.n ?? 0;
    },
    cutListeners: () => deaf?.cut() ?? 0,
    async newTenant() {
      const slug = `tenant-${++tenants}`;
      const [issuer, otherIssuer] = [`${idp.origin}/${slug}`, `${idp.origin}/${slug}/other`];
      const { id } = await change("POST", "/tenants", { slug, name: slug, plan: "enterprise" });
      for (const each of [issuer, otherIssuer]) {
        await change("POST", `/tenants/${slug}/issuers`, { issuer: each, jwksUri, tenantClaim: null });
      }
      const audience = `${server.url}/t/${slug}/mcp`;
      const tokenOf: TestTenant["tokenOf"] = (of, recipe) =>
        bearer(accessToken({ issuer, audience, key: firstKey, now: now(), ...of }, recipe));
      return {
        slug,
        id: String(id),
        issuer,
        otherIssuer,
        token: (recipe) => tokenOf({}, recipe),
        tokenOf,
        boundToken() {
          const recipe = { claims: { cnf: { jkt: thumbprintOf(client.publicKey) } } };
          const token = accessToken({ issuer, audience, key: firstKey, now: now() }, recipe);
          return {
            headers: (resource) => ({
              authorization: `DPoP ${token}`,
              dpop: makeProof({ keys: client, token, url: resource, now: now() }),
            }),
          };
        },
        async apiKey(expiresAt) {
          const body = { name: "machine", permissions: ["tickets:read"], ...(expiresAt && { expiresAt }) };
          const made = await change("POST", `/tenants/${slug}/keys`, body);
          return { ...bearer(String(made.key)), id: String(made.id) };
        },
        async brokerToken() {
          await change("POST", `/tenants/${slug}/issuers`, { issuer: broker.issuer, tenantValue: slug });
          const of = { issuer: broker.issuer, audience: server.shared, key: firstKey, now: now() };
          const token = accessToken(of, { claims: { [BROKER_CLAIM]: slug } });
          return { ...bearer(token), shared: true, brokerId: broker.id };
        },
        change,
      };
    },
    ask(instance, tenant, credential) {
      const { url, presented } = at(instance, tenant, credential);
      const { headers, body } = mcpMessage(null, "tools/call", { name: "answer", arguments: {} });
      return send(url, { headers: { ...headers, ...presented }, body });
    },
    stream(instance, tenant, credential) {
      const { url, presented } = at(instance, tenant, credential);
      return listen(url, "", LISTENED, { headers: presented });
    },
    async hold(instance, tenant, credential) {
      const name = `call ${++calls}`;
      const { url, presented } = at(instance, tenant, credential);
      const { headers, body } = mcpMessage(null, "tools/call", { name: "hold", arguments: { name } });
      const controller = new AbortController();
      const started = new Promise<void>((resolve) => begun.set(name, resolve));
      const answer = send(url, { headers: { ...headers, ...presented }, body, signal: controller.signal });
      // Whoever hangs up does not wait for it.
      answer.catch(() => {});
      await Promise.race([
        started,
        answer.then(({ status, text }) => {
          throw new TypeError(`The call was answered before it began: ${status} ${text}`);
        }),
      ]);
      return { told: () => told.get(name), answer, hangUp: () => controller.abort() };
    },
    async close() {
      await server.close();
      await idp.close();
      await deaf?.close();
    },
  };
}
