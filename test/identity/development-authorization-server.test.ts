import { createHash, randomBytes } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import type { IssuerId, TenantId } from "../../src/core/ids.ts";
import {
  createDevelopmentAuthorizationServer,
  type DevelopmentAuthorizationServer,
} from "../../src/identity/development/authorization-server.ts";
import {
  accountsOf,
  type DevelopmentIssuer,
  type DevelopmentUser,
} from "../../src/identity/development/development-issuer.ts";
import { generateSigningKey } from "../../src/identity/development/signing-key.ts";
import { createKeySets } from "../../src/identity/key-sets.ts";
import { createTokenVerifier } from "../../src/identity/token-verifier.ts";
import type { TrustedIssuer } from "../../src/tenancy/tenant-snapshot.ts";
import { ISSUER_DEFAULTS } from "./fake-issuer.ts";

const ACME = "tnt_0000000000000000000000acme" as TenantId;
const GLOBEX = "tnt_00000000000000000000globex" as TenantId;
const REDIRECT = "http://127.0.0.1:6789/callback";
const ada: DevelopmentUser = {
  subject: "ada",
  name: "Ada <script>",
  tenantId: ACME,
  permissions: ["tickets:read", "tickets:write"],
};
const bob: DevelopmentUser = { subject: "bob", name: "Bob", tenantId: ACME, permissions: ["tickets:read"] };
const nobody: DevelopmentUser = { subject: "nobody", name: "Nobody", tenantId: ACME, permissions: [] };
/** The same subject as in the other tenant. */
const globexAda: DevelopmentUser = {
  subject: "ada",
  name: "Ada of Globex",
  tenantId: GLOBEX,
  permissions: ["admin"],
};

const DOCUMENT_CLIENT = "https://client.example/metadata.json";
const faults: unknown[] = [];
let server: Server;
let baseUrl: string;
let authorization: DevelopmentAuthorizationServer;
let issuers: Record<"acme" | "token" | "shared", DevelopmentIssuer>;

beforeAll(async () => {
  server = createServer((req, res) => {
    if (!authorization.handle(req, res)) res.writeHead(404).end("not mine");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const issuer = async (name: string, more: Omit<DevelopmentIssuer, "name" | "issuer" | "signingKey">) => ({
    name,
    issuer: `${baseUrl}/issuers/${name}`,
    signingKey: await generateSigningKey(),
    ...more,
  });
  const acme = { id: ACME, slug: "acme", name: "Acme", resource: `${baseUrl}/t/acme/mcp` };
  const globex = { id: GLOBEX, slug: "globex", name: "Globex", resource: `${baseUrl}/t/globex/mcp` };
  const shared = `${baseUrl}/mcp`;
  issuers = {
    acme: await issuer("acme", { tenants: [acme], users: [ada, bob, nobody], broker: false }),
    // A tenant whose name is also a path of the library.
    token: await issuer("token", { tenants: [globex], users: [globexAda], broker: false }),
    shared: await issuer("shared", {
      tenants: [
        { ...acme, resource: shared },
        { ...globex, resource: shared },
      ],
      users: [ada, bob, globexAda],
      broker: true,
    }),
  };
  authorization = createDevelopmentAuthorizationServer({
    baseUrl,
    issuers: Object.values(issuers),
    scopes: ["tickets:read", "tickets:write", "tickets:delete"],
    clock: systemClock,
    onFault: (cause) => faults.push(cause),
    fetch: async (url) =>
      String(url) === DOCUMENT_CLIENT
        ? Response.json({
            client_id: DOCUMENT_CLIENT,
            client_name: "Document",
            redirect_uris: [REDIRECT],
            token_endpoint_auth_method: "none",
          })
        : new Response(null, { status: 404 }),
  });
});
afterAll(
  () =>
    new Promise<void>((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    }),
);

const consoleCalls: unknown[][] = [];
beforeEach(() => {
  for (const method of ["log", "info", "warn", "error"] as const) {
    vi.spyOn(console, method).mockImplementation((...line) => void consoleCalls.push(line));
  }
});
afterEach(() => {
  vi.restoreAllMocks();
  expect(consoleCalls).toEqual([]);
  expect(faults).toEqual([]);
});

const keySets = createKeySets({ clock: systemClock, allowLoopbackHttp: true, allowPrivateAddresses: false });
const verifier = createTokenVerifier({ clock: systemClock, keySets, cacheSize: 100 });

async function trustedOf(issuer: DevelopmentIssuer, tenantValue: string | null): Promise<TrustedIssuer> {
  const metadata = await json(
    await fetch(`${baseUrl}/.well-known/oauth-authorization-server/issuers/${issuer.name}`),
  );
  return {
    id: `iss_${issuer.name}` as IssuerId,
    issuer: issuer.issuer,
    jwksUri: String(metadata.jwks_uri),
    broker: issuer.broker,
    ...ISSUER_DEFAULTS,
    tenantValue,
    development: true,
  };
}

const accountOf = (issuer: DevelopmentIssuer, user: DevelopmentUser) =>
  [...accountsOf(issuer)].find(([, one]) => one === user)?.[0] ?? "";

type Json = Record<string, unknown>;
const json = async (response: Response) => (await response.json()) as Json;
const post = (url: string, form: Record<string, string>, headers: Record<string, string> = {}) =>
  fetch(url, { method: "POST", body: new URLSearchParams(form), headers, redirect: "manual" });

async function register(issuer: DevelopmentIssuer, metadata: Json = {}): Promise<Json> {
  const response = await fetch(`${issuer.issuer}/reg`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      client_name: "Test <b>",
      redirect_uris: [REDIRECT],
      token_endpoint_auth_method: "none",
      ...metadata,
    }),
  });
  expect(response.status).toBe(201);
  return json(response);
}

/** A browser, as far as one is needed: cookies with their paths. */
function browser() {
  const jar = new Map<string, { value: string; path: string }>();
  return async (url: string, init: RequestInit = {}) => {
    const { pathname } = new URL(url);
    const cookie = [...jar]
      .filter(([, one]) => pathname.startsWith(one.path))
      .map(([name, one]) => `${name.split(" ")[0]}=${one.value}`);
    const response = await fetch(url, {
      ...init,
      redirect: "manual",
      headers: { ...init.headers, cookie: cookie.join("; ") },
    });
    for (const line of response.headers.getSetCookie()) {
      const [pair = "", ...attributes] = line.split("; ");
      const [name = "", value = ""] = pair.split(/=(.*)/s);
      const path = attributes.find((one) => one.toLowerCase().startsWith("path="))?.slice(5) ?? "/";
      expect(line.toLowerCase()).toContain("httponly");
      expect(line.toLowerCase()).toContain("samesite=lax");
      expect(path.startsWith("/issuers/")).toBe(true);
      if (value === "") jar.delete(`${name} ${path}`);
      else jar.set(`${name} ${path}`, { value, path });
    }
    return response;
  };
}

function pkce() {
  const verifierText = randomBytes(32).toString("base64url");
  return { verifierText, challenge: createHash("sha256").update(verifierText).digest("base64url") };
}

function authorizeUrl(issuer: DevelopmentIssuer, params: Record<string, string | undefined>): string {
  const given = Object.entries({
    response_type: "code",
    redirect_uri: REDIRECT,
    code_challenge_method: "S256",
    state: "s1",
    ...params,
  });
  const query = new URLSearchParams(
    given.filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  return `${issuer.issuer}/auth?${query}`;
}

const location = (response: Response) => new URL(response.headers.get("location") ?? "", baseUrl);

/** Goes through an authorization by hand: authorize, choose a user, follow the redirects. */
async function authorize(
  issuer: DevelopmentIssuer,
  clientId: string,
  user: DevelopmentUser,
  params: Record<string, string | undefined> = {},
  open = browser(),
) {
  const { verifierText, challenge } = pkce();
  const started = await open(
    authorizeUrl(issuer, { client_id: clientId, code_challenge: challenge, ...params }),
  );
  expect(started.status).toBe(303);
  const pageUrl = location(started).href;
  const page = await open(pageUrl);
  expect(page.status).toBe(200);
  const html = await page.text();
  const chosen = await open(pageUrl, {
    method: "POST",
    body: new URLSearchParams({ account: accountOf(issuer, user) }),
    headers: { origin: baseUrl },
  });
  expect(chosen.status).toBe(303);
  const finished = await open(location(chosen).href);
  expect(finished.status).toBe(303);
  return { html, page, callback: location(finished), verifierText, open };
}

const exchange = (
  issuer: DevelopmentIssuer,
  clientId: string,
  code: string,
  verifierText: string,
  more: Record<string, string> = {},
) =>
  post(`${issuer.issuer}/token`, {
    grant_type: "authorization_code",
    client_id: clientId,
    code,
    code_verifier: verifierText,
    redirect_uri: REDIRECT,
    ...more,
  });

async function signIn(
  issuer: DevelopmentIssuer,
  user: DevelopmentUser,
  params: Record<string, string | undefined> = {},
) {
  const clientId = String((await register(issuer)).client_id);
  const { callback, verifierText } = await authorize(issuer, clientId, user, params);
  const response = await exchange(issuer, clientId, callback.searchParams.get("code") ?? "", verifierText);
  expect(response.status).toBe(200);
  return { clientId, tokens: await json(response) };
}

describe("discovery", () => {
  test.each([
    (name: string) => `/.well-known/oauth-authorization-server/issuers/${name}`,
    (name: string) => `/.well-known/openid-configuration/issuers/${name}`,
    (name: string) => `/issuers/${name}/.well-known/openid-configuration`,
  ])("is served for every issuer, with URLs from configuration", async (path) => {
    for (const { name, issuer, broker } of Object.values(issuers)) {
      const metadata = await json(
        await fetch(baseUrl + path(name), { headers: { "x-forwarded-host": "evil.example" } }),
      );
      expect(metadata).toMatchObject({
        issuer,
        authorization_endpoint: `${issuer}/auth`,
        token_endpoint: `${issuer}/token`,
        registration_endpoint: `${issuer}/reg`,
        jwks_uri: `${issuer}/jwks`,
        code_challenge_methods_supported: ["S256"],
        response_types_supported: ["code"],
        authorization_response_iss_parameter_supported: true,
        client_id_metadata_document_supported: true,
      });
      expect(metadata.grant_types_supported).toEqual(
        expect.arrayContaining([
          "authorization_code",
          "refresh_token",
          ...(broker ? [] : ["client_credentials"]),
        ]),
      );
      if (broker) expect(metadata.grant_types_supported).not.toContain("client_credentials");
    }
  });

  test("does not follow the Host header", async () => {
    const { request } = await import("node:http");
    const body = await new Promise<string>((resolve, reject) => {
      const outgoing = request(
        `${baseUrl}/issuers/acme/.well-known/openid-configuration`,
        { headers: { host: "evil.example" } },
        (res) => {
          let text = "";
          res.on("data", (chunk) => (text += chunk)).on("end", () => resolve(text));
        },
      );
      outgoing.once("error", reject).end();
    });
    expect(JSON.parse(body)).toMatchObject({ token_endpoint: `${baseUrl}/issuers/acme/token` });
    expect(body).not.toContain("evil");
  });

  test("publishes public key parts only", async () => {
    for (const { issuer, signingKey } of Object.values(issuers)) {
      const { keys } = (await json(await fetch(`${issuer}/jwks`))) as { keys: Json[] };
      expect(keys).toEqual([
        {
          kty: "EC",
          crv: "P-256",
          alg: "ES256",
          use: "sig",
          kid: signingKey.kid,
          x: signingKey.x,
          y: signingKey.y,
        },
      ]);
    }
  });
});

test("addresses of others are left alone", async () => {
  for (const path of [
    "/",
    "/mcp",
    "/issuers",
    "/issuers/",
    "/issuers/unknown/auth",
    "/issuers/ACME/auth",
    "/issuersx/acme",
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration/issuers/unknown",
  ]) {
    const response = await fetch(baseUrl + path);
    expect(await response.text(), path).toBe("not mine");
  }
});

describe("authorization code", () => {
  test("gives a token that the verifier accepts for the tenant, and for nothing else", async () => {
    const resource = `${baseUrl}/t/acme/mcp`;
    const { clientId, tokens } = await signIn(issuers.acme, ada, {
      resource,
      scope: "tickets:read tickets:write tickets:delete",
    });
    const token = String(tokens.access_token);
    expect(tokens).toMatchObject({
      token_type: "Bearer",
      expires_in: 300,
      scope: "tickets:read tickets:write",
    });
    expect(decodeProtectedHeader(token)).toEqual({
      alg: "ES256",
      typ: "at+jwt",
      kid: issuers.acme.signingKey.kid,
    });
    expect(decodeJwt(token)).toMatchObject({
      iss: issuers.acme.issuer,
      sub: "ada",
      aud: resource,
      client_id: clientId,
      tenant_id: ACME,
    });

    const trusted = await trustedOf(issuers.acme, ACME);
    expect(await verifier.verify(token, { resource, candidates: [trusted] })).toMatchObject({
      kind: "verified",
      subject: "ada",
      clientId,
      tenantClaim: ACME,
      permissions: new Set(["tickets:read", "tickets:write"]),
    });
    for (const other of [`${baseUrl}/mcp`, `${baseUrl}/t/globex/mcp`]) {
      expect(await verifier.verify(token, { resource: other, candidates: [trusted] })).toMatchObject({
        code: "token_invalid",
      });
    }
    const posing = { ...(await trustedOf(issuers.token, GLOBEX)), issuer: issuers.acme.issuer };
    expect(
      await verifier.verify(token, { resource, candidates: [{ ...posing, tenantValue: ACME }] }),
    ).toMatchObject({ code: "token_invalid" });
  });

  test("the answer names the issuer and repeats the state", async () => {
    const clientId = String((await register(issuers.acme)).client_id);
    const { callback } = await authorize(issuers.acme, clientId, ada);
    expect(callback.origin + callback.pathname).toBe(REDIRECT);
    expect(callback.searchParams.get("iss")).toBe(issuers.acme.issuer);
    expect(callback.searchParams.get("state")).toBe("s1");
  });

  test("without a resource and a scope the token is for the tenant and carries what the user may do", async () => {
    const { tokens } = await signIn(issuers.acme, bob);
    expect(decodeJwt(String(tokens.access_token))).toMatchObject({
      aud: `${baseUrl}/t/acme/mcp`,
      scope: "tickets:read",
      tenant_id: ACME,
    });
  });

  test("openid is no way to an opaque token", async () => {
    const { tokens } = await signIn(issuers.acme, ada, { scope: "openid tickets:read" });
    expect(decodeJwt(String(tokens.access_token))).toMatchObject({
      aud: `${baseUrl}/t/acme/mcp`,
      scope: "tickets:read",
    });
    expect(decodeJwt(String(tokens.id_token))).toMatchObject({ sub: "ada" });
    const trusted = { ...(await trustedOf(issuers.acme, ACME)), tokenType: "JWT" };
    const result = await verifier.verify(String(tokens.id_token), {
      resource: `${baseUrl}/t/acme/mcp`,
      candidates: [trusted],
    });
    expect(result).toMatchObject({ code: "token_invalid" });
  });

  test("every authorization asks anew who it is for", async () => {
    const clientId = String((await register(issuers.acme)).client_id);
    const open = browser();
    for (const user of [ada, bob, ada]) {
      const { callback, verifierText } = await authorize(issuers.acme, clientId, user, {}, open);
      const tokens = await json(
        await exchange(issuers.acme, clientId, callback.searchParams.get("code") ?? "", verifierText),
      );
      expect(decodeJwt(String(tokens.access_token)).sub).toBe(user.subject);
    }
  });

  test("an issuer named like a path of its own works as any other", async () => {
    const { tokens } = await signIn(issuers.token, globexAda, { scope: "admin" });
    expect(decodeJwt(String(tokens.access_token))).toMatchObject({
      iss: issuers.token.issuer,
      aud: `${baseUrl}/t/globex/mcp`,
      scope: "admin",
    });
  });

  test("the broker's token is for the tenant of the chosen user", async () => {
    const resource = `${baseUrl}/mcp`;
    const broker = await trustedOf(issuers.shared, null);
    for (const [user, tenant] of [
      [ada, ACME],
      [globexAda, GLOBEX],
    ] as const) {
      const { tokens } = await signIn(issuers.shared, user, { resource });
      const result = await verifier.verify(String(tokens.access_token), {
        resource,
        candidates: [broker],
        tenantOf: "claim",
      });
      expect(result).toMatchObject({ kind: "verified", subject: "ada", tenantClaim: tenant });
    }
  });

  test.each([
    ["another tenant's resource", () => ({ resource: `${baseUrl}/t/globex/mcp` }), "invalid_target"],
    ["a resource with a trailing slash", () => ({ resource: `${baseUrl}/t/acme/mcp/` }), "invalid_target"],
    ["no PKCE", () => ({ code_challenge: undefined, code_challenge_method: undefined }), "invalid_request"],
    ["plain PKCE", () => ({ code_challenge_method: "plain" }), "invalid_request"],
    ["an implicit token", () => ({ response_type: "token" }), "unsupported_response_type"],
  ] as const)("refused: %s", async (_name, params, error) => {
    const clientId = String((await register(issuers.acme)).client_id);
    const started = await browser()(
      authorizeUrl(issuers.acme, { client_id: clientId, code_challenge: pkce().challenge, ...params() }),
    );
    const answered = new URLSearchParams(location(started).search || location(started).hash.slice(1));
    expect(answered.get("error")).toBe(error);
    expect(answered.get("iss")).toBe(issuers.acme.issuer);
  });

  test("a wrong verifier, a code used twice and another client's code are refused", async () => {
    const clientId = String((await register(issuers.acme)).client_id);
    const otherClient = String((await register(issuers.acme)).client_id);
    const once = await authorize(issuers.acme, clientId, ada);
    const code = once.callback.searchParams.get("code") ?? "";
    expect(await json(await exchange(issuers.acme, clientId, code, pkce().verifierText))).toMatchObject({
      error: "invalid_grant",
    });
    expect(await json(await exchange(issuers.acme, otherClient, code, once.verifierText))).toMatchObject({
      error: "invalid_grant",
    });
    expect(await json(await exchange(issuers.token, clientId, code, once.verifierText))).toMatchObject({
      error: "invalid_client",
    });
    expect((await exchange(issuers.acme, clientId, code, once.verifierText)).status).toBe(200);
    expect(await json(await exchange(issuers.acme, clientId, code, once.verifierText))).toMatchObject({
      error: "invalid_grant",
    });
  });

  test("a user who may do nothing of what is asked is denied", async () => {
    const clientId = String((await register(issuers.acme)).client_id);
    const { callback } = await authorize(issuers.acme, clientId, nobody, { scope: "tickets:read" });
    expect(callback.searchParams.get("error")).toBe("access_denied");
  });

  test("a redirect address that was not registered is not redirected to", async () => {
    const clientId = String((await register(issuers.acme)).client_id);
    const started = await browser()(
      authorizeUrl(issuers.acme, {
        client_id: clientId,
        code_challenge: pkce().challenge,
        redirect_uri: "https://evil.example/",
      }),
    );
    expect(started.status).toBe(400);
    expect(started.headers.get("location")).toBeNull();
  });
});

describe("the sign-in page", () => {
  const start = async () => {
    const clientId = String((await register(issuers.acme)).client_id);
    const open = browser();
    const started = await open(
      authorizeUrl(issuers.acme, { client_id: clientId, code_challenge: pkce().challenge }),
    );
    return { open, url: location(started).href };
  };
  const choose = (account: string, headers: Record<string, string> = {}) => ({
    method: "POST",
    body: new URLSearchParams({ account }),
    headers,
  });

  test("lists the issuer's users, escapes names and loads nothing from elsewhere", async () => {
    const { open, url } = await start();
    const page = await open(url);
    const html = await page.text();
    for (const { subject } of [ada, bob, nobody]) expect(html).toContain(`value="${subject}"`);
    expect(html).not.toContain("<script");
    expect(html).not.toContain("<b>");
    expect(html).toContain(REDIRECT);
    expect(html).not.toMatch(/(?:src|href)=|@import|url\(/);
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(page.headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
    expect(page.headers.get("cache-control")).toBe("no-store");
  });

  test("counts only with the cookie of this authorization, and from our own origin", async () => {
    const { open, url } = await start();
    const other = await start();
    const account = accountOf(issuers.acme, ada);
    expect((await browser()(url)).status).toBe(400);
    expect((await browser()(url, choose(account))).status).toBe(400);
    expect((await other.open(url, choose(account))).status).toBe(400);
    expect((await open(url, choose(account, { origin: "https://evil.example" }))).status).toBe(403);
    expect((await open(url, choose(account, { origin: "null" }))).status).toBe(403);
    expect((await open(url, choose("globexAda"))).status).toBe(400);
    expect((await open(url, choose("x".repeat(5000)))).status).toBe(413);
    expect((await open(url, { method: "DELETE" })).status).toBe(405);
    expect((await open(url, choose(account, { origin: baseUrl }))).status).toBe(303);
  });

  test("can be cancelled", async () => {
    const { open, url } = await start();
    const cancelled = await open(url, { method: "POST", body: new URLSearchParams({ cancel: "yes" }) });
    const finished = await open(location(cancelled).href);
    expect(location(finished).searchParams.get("error")).toBe("access_denied");
  });
});

test("refresh tokens rotate, keep tenant and audience, and the use of an old one ends them all", async () => {
  const { clientId, tokens } = await signIn(issuers.acme, ada, { scope: "tickets:read" });
  const refresh = (token: unknown, more: Record<string, string> = {}) =>
    post(`${issuers.acme.issuer}/token`, {
      grant_type: "refresh_token",
      client_id: clientId,
      refresh_token: String(token),
      ...more,
    });
  const renewed = await json(await refresh(tokens.refresh_token));
  expect(renewed.refresh_token).not.toBe(tokens.refresh_token);
  expect(decodeJwt(String(renewed.access_token))).toMatchObject({
    sub: "ada",
    aud: `${baseUrl}/t/acme/mcp`,
    tenant_id: ACME,
    scope: "tickets:read",
  });
  expect(await json(await refresh(renewed.refresh_token, { scope: "tickets:write" }))).toMatchObject({
    error: "invalid_scope",
  });
  expect(await json(await refresh(tokens.refresh_token))).toMatchObject({ error: "invalid_grant" });
  expect(await json(await refresh(renewed.refresh_token))).toMatchObject({ error: "invalid_grant" });
});

describe("client credentials", () => {
  const machine = {
    grant_types: ["client_credentials"],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: "client_secret_basic",
    scope: "tickets:read tickets:write",
  };
  const basic = (client: Json) => ({
    authorization: `Basic ${Buffer.from(`${client.client_id}:${client.client_secret}`).toString("base64")}`,
  });

  test("give a token of the issuer's tenant with the scopes asked for", async () => {
    const client = await register(issuers.acme, machine);
    const response = await post(
      `${issuers.acme.issuer}/token`,
      { grant_type: "client_credentials", scope: "tickets:read unknown" },
      basic(client),
    );
    const tokens = await json(response);
    expect(tokens).toMatchObject({ token_type: "Bearer", expires_in: 300, scope: "tickets:read" });
    const resource = `${baseUrl}/t/acme/mcp`;
    const result = await verifier.verify(String(tokens.access_token), {
      resource,
      candidates: [await trustedOf(issuers.acme, ACME)],
    });
    expect(result).toMatchObject({
      kind: "verified",
      subject: client.client_id,
      clientId: client.client_id,
      tenantClaim: ACME,
      permissions: new Set(["tickets:read"]),
    });
  });

  test("give what was registered when no scope is asked for, and never more", async () => {
    const client = await register(issuers.acme, machine);
    const ask = async (form: Record<string, string>) =>
      json(
        await post(
          `${issuers.acme.issuer}/token`,
          { grant_type: "client_credentials", ...form },
          basic(client),
        ),
      );
    expect(decodeJwt(String((await ask({})).access_token))).toMatchObject({
      scope: "tickets:read tickets:write",
      tenant_id: ACME,
    });
    expect(await ask({ scope: "tickets:delete" })).toMatchObject({ error: "invalid_scope" });
    expect(await ask({ resource: `${baseUrl}/t/globex/mcp` })).toMatchObject({ error: "invalid_target" });
    expect(
      await json(
        await post(
          `${issuers.acme.issuer}/token`,
          { grant_type: "client_credentials" },
          basic({ ...client, client_secret: "x" }),
        ),
      ),
    ).toMatchObject({ error: "invalid_client" });
  });

  test("are not offered by the broker, whose tenant comes from a user", async () => {
    const response = await fetch(`${issuers.shared.issuer}/reg`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(machine),
    });
    expect(response.status).toBe(400);
    expect(await json(response)).toMatchObject({ error: "invalid_client_metadata" });
  });
});

test("a client may be named by a metadata document instead of registering", async () => {
  const { callback, verifierText } = await authorize(issuers.acme, DOCUMENT_CLIENT, ada);
  const tokens = await json(
    await exchange(issuers.acme, DOCUMENT_CLIENT, callback.searchParams.get("code") ?? "", verifierText),
  );
  expect(decodeJwt(String(tokens.access_token))).toMatchObject({
    client_id: DOCUMENT_CLIENT,
    sub: "ada",
    tenant_id: ACME,
  });
});

test("a browser client is answered across origins only from its own", async () => {
  const clientId = String((await register(issuers.acme)).client_id);
  const ask = (origin: string) =>
    post(
      `${issuers.acme.issuer}/token`,
      { grant_type: "authorization_code", client_id: clientId, code: "x", code_verifier: "y".repeat(43) },
      { origin },
    );
  expect((await ask("http://127.0.0.1:6789")).headers.get("access-control-allow-origin")).toBe(
    "http://127.0.0.1:6789",
  );
  expect((await ask("https://evil.example")).headers.get("access-control-allow-origin")).toBeNull();
});

describe("tokens issued without signing in", () => {
  const options = () => ({
    issuer: issuers.acme.issuer,
    tenantId: ACME,
    subject: "ada",
    resource: `${baseUrl}/t/acme/mcp`,
    permissions: ["tickets:read"],
    lifetimeSeconds: 3600,
  });

  test("are accepted by the verifier", async () => {
    const token = await authorization.issueToken(options());
    expect(decodeProtectedHeader(token)).toEqual({
      alg: "ES256",
      typ: "at+jwt",
      kid: issuers.acme.signingKey.kid,
    });
    expect(Object.keys(decodeJwt(token)).sort()).toEqual([
      "aud",
      "client_id",
      "exp",
      "iat",
      "iss",
      "jti",
      "scope",
      "sub",
      "tenant_id",
    ]);
    const result = await verifier.verify(token, {
      resource: `${baseUrl}/t/acme/mcp`,
      candidates: [await trustedOf(issuers.acme, ACME)],
    });
    expect(result).toMatchObject({
      kind: "verified",
      subject: "ada",
      tenantClaim: ACME,
      permissions: new Set(["tickets:read"]),
    });
  });

  test("of the broker are for the shared resource", async () => {
    const resource = `${baseUrl}/mcp`;
    const token = await authorization.issueToken({
      ...options(),
      issuer: issuers.shared.issuer,
      tenantId: GLOBEX,
      resource,
    });
    const result = await verifier.verify(token, {
      resource,
      candidates: [await trustedOf(issuers.shared, null)],
      tenantOf: "claim",
    });
    expect(result).toMatchObject({ kind: "verified", tenantClaim: GLOBEX });
  });

  test.each([
    { issuer: "https://evil.example" },
    { tenantId: GLOBEX },
    { resource: "https://evil.example/mcp" },
    { lifetimeSeconds: 3601 },
    { lifetimeSeconds: Number.NaN },
  ])("are refused with %j", async (changes) => {
    await expect(authorization.issueToken({ ...options(), ...changes })).rejects.toMatchObject({
      code: "setting_invalid",
    });
  });
});

test.each([
  ["two of one name", () => [issuers.acme, issuers.acme]],
  ["another URL", () => [{ ...issuers.acme, issuer: "http://127.0.0.1:1/issuers/acme" }]],
  ["no tenant", () => [{ ...issuers.acme, tenants: [] }]],
  ["several tenants without being a broker", () => [{ ...issuers.shared, broker: false }]],
  ["a user of no tenant", () => [{ ...issuers.acme, users: [globexAda] }]],
  [
    "a name that cannot be in a URL",
    () => [{ ...issuers.acme, name: "a/b", issuer: `${baseUrl}/issuers/a/b` }],
  ],
])("issuers are refused at start: %s", (_name, wrong) => {
  expect(() =>
    createDevelopmentAuthorizationServer({ baseUrl, issuers: wrong(), scopes: [], clock: systemClock }),
  ).toThrow(expect.objectContaining({ code: "setting_invalid" }));
});

test.each(["http://192.0.2.1:8787", "https://mcp.example.com", "http://localhost.example.com"])(
  "there is no development server at %s",
  (elsewhere) => {
    const wrong = [{ ...issuers.acme, issuer: `${elsewhere}/issuers/acme` }];
    const make = () =>
      createDevelopmentAuthorizationServer({
        baseUrl: elsewhere,
        issuers: wrong,
        scopes: [],
        clock: systemClock,
      });
    expect(make).toThrow("loopback only");
  },
);
