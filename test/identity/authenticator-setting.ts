import { randomBytes } from "node:crypto";
import { createIdSource, type Slug } from "../../src/core/ids.ts";
import { refuse } from "../../src/core/refusal.ts";
import { makeApiKey } from "../../src/identity/api-key.ts";
import { type Attempt, createAuthenticator } from "../../src/identity/authenticator.ts";
import { createProofChecker } from "../../src/identity/dpop-proof.ts";
import { createIntrospector } from "../../src/identity/introspection.ts";
import { createKeySets } from "../../src/identity/key-sets.ts";
import { createTokenVerifier } from "../../src/identity/token-verifier.ts";
import type { ConfigurationSource } from "../../src/tenancy/configuration-source.ts";
import { createTenantDirectory } from "../../src/tenancy/tenant-directory.ts";
import type { TenantName } from "../../src/tenancy/tenant-record.ts";
import type { ApiKey, TenantSnapshot, TrustedIssuer } from "../../src/tenancy/tenant-snapshot.ts";
import { es256, type JwsRecipe, type Members, thumbprintOf } from "../support/hand-made-jws.ts";
import { makeProof } from "../support/hand-made-proof.ts";
import { tenantSnapshot } from "../support/tenant-snapshot.ts";
import { createFakeClock } from "./fake-clock.ts";
import { registration, startFakeIssuer } from "./fake-issuer.ts";
import {
  makeToken,
  OTHER_RESOURCE,
  OWN_JWK,
  own,
  RESOURCE,
  SHARED,
  STRANGERS_JWK,
  stranger,
} from "./token-recipe.ts";

/** What an address that keeps failing is told. */
export const FLOODING = refuse("rate_limited", { retryAfterMs: 1_000 });
export const CATALOG_PERMISSIONS = ["tickets:read"];

const resourceOf = (slug: Slug | null) => (slug === null ? SHARED : `https://mcp.example.com/t/${slug}/mcp`);

/** Configuration in memory: two tenants with an issuer each, and a broker that both are mapped to. */
function createConfiguration() {
  const tenants = new Map<string, TenantSnapshot>();
  const changed: TenantSnapshot[] = [];
  let brokers: readonly TrustedIssuer[] = [];
  let version = 1;
  let whileNamed: () => void = () => {};
  const find = async (is: (one: TenantSnapshot) => boolean) => ({
    found: [...tenants.values()].find(is) ?? null,
    version,
  });
  const idOf = async (is: (one: TenantSnapshot) => boolean) => {
    const { found, ...read } = await find(is);
    whileNamed();
    return { ...read, found: found?.id ?? null };
  };
  const source: ConfigurationSource = {
    idOfSlug: (slug) => idOf((one) => one.slug === slug),
    idOfKey: (key) => idOf(({ apiKeys }) => apiKeys.has(key)),
    idOfClaim: (issuer, value) =>
      idOf(({ issuers }) =>
        issuers.some((one) => one.broker && one.id === issuer && one.tenantValue === value),
      ),
    snapshotOfId: (id) => find((one) => one.id === id),
    brokers: async () => brokers,
    async changesSince(since) {
      const tenants = changed.filter((one) => one.version > since).map(({ id }) => id);
      return { version, tenants, everything: false };
    },
  };
  return {
    source,
    /** Runs once, between the reading of whom a key, claim or slug is of, and that of the tenant. */
    afterNaming(task: () => void) {
      whileNamed = () => {
        whileNamed = () => {};
        task();
      };
    },
    setBrokers(list: readonly TrustedIssuer[]) {
      brokers = list;
    },
    put(snapshot: TenantSnapshot): TenantSnapshot {
      version++;
      const newer = { ...snapshot, version };
      tenants.set(snapshot.slug, newer);
      changed.push(newer);
      return newer;
    },
    remove(snapshot: TenantSnapshot) {
      version++;
      tenants.delete(snapshot.slug);
      changed.push({ ...snapshot, version });
    },
  };
}

export type AuthenticatorSetting = Awaited<ReturnType<typeof startAuthenticator>>;

/** An authenticator of real parts, over configuration in memory and two identity providers on this machine. */
export async function startAuthenticator() {
  const [idp, otherIdp] = await Promise.all([startFakeIssuer(), startFakeIssuer()]);
  idp.publish(OWN_JWK);
  otherIdp.publish(STRANGERS_JWK);
  const clock = createFakeClock();
  const ids = createIdSource(clock.now);
  const issuers = {
    acme: registration(idp),
    globex: registration(otherIdp, { tenantValue: "tnt_globex" }),
    broker: registration(idp, { issuer: `${idp.origin}/broker`, broker: true, tenantValue: null }),
    opaque: registration(idp, {
      issuer: `${idp.origin}/opaque`,
      jwksUri: null,
      introspection: { endpoint: `${idp.origin}/introspect`, clientId: "bulkhead", sealedSecret: "" },
    }),
  };
  const configuration = createConfiguration();
  configuration.setBrokers([issuers.broker]);
  const tenants: Record<"acme" | "globex", TenantSnapshot> = {
    acme: configuration.put(
      tenantSnapshot("acme", { issuers: [issuers.acme, { ...issuers.broker, tenantValue: "acme-org" }] }),
    ),
    globex: configuration.put(
      tenantSnapshot("globex", {
        issuers: [issuers.globex, { ...issuers.broker, tenantValue: "globex-org" }],
      }),
    ),
  };
  const directory = createTenantDirectory({ source: configuration.source, clock, maxStaleMs: 5_000 });
  await directory.refresh();

  let introspected: Members = { active: false };
  const asked: string[] = [];
  const used = new Set<string>();
  let overRate: string | null = null;
  let whileUsing: () => Promise<void> = async () => {};
  const authenticator = createAuthenticator({
    clock,
    directory,
    resourceOf,
    verifier: createTokenVerifier({
      clock,
      keySets: createKeySets({ clock, allowLoopbackHttp: true, allowPrivateAddresses: true }),
      cacheSize: 100,
    }),
    introspector: createIntrospector({
      clock,
      openSecret: () => "secret",
      async fetch(url, request) {
        asked.push(`${url} ${request?.form?.token ?? ""}`);
        return Buffer.from(JSON.stringify(introspected));
      },
    }),
    proofs: createProofChecker({
      async remember(tenantId, hash) {
        await whileUsing();
        const proof = `${tenantId} ${Buffer.from(hash).toString("hex")}`;
        if (used.has(proof)) return false;
        used.add(proof);
        return true;
      },
    }),
    catalogPermissions: CATALOG_PERMISSIONS,
    payForProof: ({ slug }) => (slug === overRate ? refuse("rate_limited") : null),
  });

  const attemptOf = (headers: readonly string[], more: Partial<Attempt> = {}): Attempt => ({
    rawHeaders: ["Host", "mcp.example.com", ...headers],
    url: "/mcp",
    method: "POST",
    address: "192.0.2.1",
    flooding: null,
    ...more,
  });
  const slugOf = (text: string | null) => (text === null ? null : (text as Slug));

  return {
    clock,
    idp,
    issuers,
    authenticator,
    directory,
    removeTenant: (snapshot: TenantSnapshot) => configuration.remove(snapshot),
    /** Changes a tenant after it was read whom a key, a claim or a slug is of, and before that tenant is read. */
    changeAfterNaming: (name: "acme" | "globex", change: Partial<TenantSnapshot>) =>
      configuration.afterNaming(() => {
        tenants[name] = configuration.put({ ...tenants[name], ...change });
      }),
    /** Changes a tenant; this instance sees it at once. */
    async change(name: "acme" | "globex", change: Partial<TenantSnapshot>): Promise<TenantSnapshot> {
      tenants[name] = configuration.put({ ...tenants[name], ...change });
      await directory.refresh();
      return tenants[name];
    },
    tenant: (name: "acme" | "globex") => tenants[name],
    /** Authenticates with these headers. */
    enter: (slug: string | null, headers: readonly string[], more: Partial<Attempt> = {}) =>
      authenticator.authenticate({ ...attemptOf(headers, more), slug: slugOf(slug) }),
    administer: (tenant: string | null, headers: readonly string[], more: Partial<Attempt> = {}) =>
      authenticator.administrator({
        ...attemptOf(headers, { url: "/admin/v1/tenants", method: "GET", ...more }),
        tenant: tenant as TenantName | null,
      }),
    /** A token of acme's issuer. */
    token: (recipe: JwsRecipe = {}) => makeToken(issuers.acme.issuer, recipe),
    globexToken: (recipe: JwsRecipe = {}) =>
      makeToken(issuers.globex.issuer, {
        ...recipe,
        claims: { aud: OTHER_RESOURCE, tenant_id: "tnt_globex", ...recipe.claims },
        header: { kid: "k2", ...recipe.header },
        sign: es256(stranger.privateKey),
      }),
    /** A token of the broker for the shared URL. */
    brokered: (organization: string, claims: Members = {}) =>
      makeToken(issuers.broker.issuer, { claims: { aud: SHARED, tenant_id: organization, ...claims } }),
    bearer: (token: string) => ["Authorization", `Bearer ${token}`],
    /** Headers of a bound token with a good proof. */
    proved: (token: string, url = RESOURCE, method = "POST") => [
      "Authorization",
      `DPoP ${token}`,
      "DPoP",
      makeProof({ keys: own, token, url, method, now: clock.now() / 1000 }),
    ],
    /** What the introspection endpoint answers from now on. */
    introspects(answer: Members) {
      introspected = { active: true, ...answer };
    },
    asked,
    used,
    /** From now on the rate of this tenant is used up. */
    useUpRate(slug: string) {
      overRate = slug;
    },
    /** Runs while a used proof is being remembered. */
    whileUsingProofs(task: () => Promise<void>) {
      whileUsing = task;
    },
    apiKey(change: Partial<ApiKey> = {}): { key: ApiKey; text: string } {
      const id = ids.apiKey();
      const { text, secretHash } = makeApiKey(id, randomBytes);
      const key: ApiKey = {
        id,
        name: "ci",
        secretHash: Buffer.from(secretHash).toString("base64"),
        permissions: ["tickets:read"],
        createdAt: clock.now() - 60_000,
        expiresAt: clock.now() + 60_000,
        ...change,
      };
      return { key, text };
    },
    close: () => Promise.all([idp.close(), otherIdp.close()]),
  };
}

/** `cnf` of a token that is bound to the key of {@link AuthenticatorSetting.proved}. */
export const BOUND = { cnf: { jkt: thumbprintOf(own.publicKey) } };
