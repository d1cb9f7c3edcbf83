import { createHash, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, vi } from "vitest";
import { systemClock } from "../../../src/core/clock.ts";
import type { IssuerId, TenantId } from "../../../src/core/ids.ts";
import { createDevelopmentStorage } from "../../../src/data/development-storage.ts";
import {
  createDevelopmentAuthorizationServer,
  type DevelopmentAuthorizationServer,
} from "../../../src/identity/development/authorization-server.ts";
import type {
  DevelopmentIssuer,
  DevelopmentUser,
} from "../../../src/identity/development/development-issuer.ts";
import { generateSigningKey } from "../../../src/identity/development/signing-key.ts";
import type { TrustedIssuer } from "../../../src/tenancy/tenant-snapshot.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { type Browser, locationOf, openBrowser, signInAs } from "../../support/oauth-browser.ts";
import { ISSUER_DEFAULTS } from "../fake-issuer.ts";

export const ACME = "tnt_0000000000000000000000acme" as TenantId;
export const GLOBEX = "tnt_00000000000000000000globex" as TenantId;
export const REDIRECT = "http://127.0.0.1:6789/callback";
/** The one client-id metadata document that can be read. */
export const DOCUMENT_CLIENT = "https://client.example/metadata.json";

export const ada: DevelopmentUser = {
  subject: "ada",
  name: "Ada <script>",
  tenantId: ACME,
  permissions: ["tickets:read", "tickets:write"],
};
export const bob: DevelopmentUser = {
  subject: "bob",
  name: "Bob",
  tenantId: ACME,
  permissions: ["tickets:read"],
};
export const nobody: DevelopmentUser = { subject: "nobody", name: "Nobody", tenantId: ACME, permissions: [] };
/** The same subject as in the other tenant. */
export const globexAda: DevelopmentUser = {
  subject: "ada",
  name: "Ada of Globex",
  tenantId: GLOBEX,
  permissions: ["admin"],
};

export type Json = Record<string, unknown>;
export const json = async (response: Response) => (await response.json()) as Json;
export const post = (url: string, form: Record<string, string>, headers: Record<string, string> = {}) =>
  fetch(url, { method: "POST", body: new URLSearchParams(form), headers, redirect: "manual" });

/** The authorization server alone, on loopback, over a database of its own. */
export interface RunningAuthorizationServer {
  readonly baseUrl: string;
  /** Acme, Globex under the name of a path of the library, and the broker of both. */
  readonly issuers: Record<"acme" | "token" | "shared", DevelopmentIssuer>;
  /** What is served, by name: to be changed. */
  readonly served: Map<string, DevelopmentIssuer>;
  readonly database: TestDatabase;
  /** What broke inside, and what was written to the console. */
  readonly faults: readonly unknown[];
  readonly console: readonly unknown[];
  /** Forgets everything but the database, as a new process has. */
  restart(): void;
  close(): Promise<void>;
}

export async function startAuthorizationServer(): Promise<RunningAuthorizationServer> {
  const written: unknown[] = [];
  const spies = (["log", "info", "warn", "error"] as const).map((method) =>
    vi.spyOn(console, method).mockImplementation((...line) => void written.push(line)),
  );
  const database = await createTestDatabase();
  const faults: unknown[] = [];
  const served = new Map<string, DevelopmentIssuer>();
  let authorization: DevelopmentAuthorizationServer;
  const server = createServer((req, res) => {
    void authorization.handle(req, res).then((taken) => {
      if (!taken) res.writeHead(404).end("not mine");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const restart = (): void => {
    authorization = createDevelopmentAuthorizationServer({
      mode: "development",
      baseUrl,
      issuerOf: async (name) => served.get(name) ?? null,
      storage: createDevelopmentStorage(database.system),
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
  };
  restart();
  const issuer = async (
    name: string,
    more: Omit<DevelopmentIssuer, "name" | "issuer" | "signingKey" | "scopes">,
  ): Promise<DevelopmentIssuer> => {
    const made = {
      name,
      issuer: `${baseUrl}/issuers/${name}`,
      signingKey: await generateSigningKey(),
      scopes: ["tickets:read", "tickets:write", "tickets:delete"],
      ...more,
    };
    served.set(name, made);
    return made;
  };
  const acme = { id: ACME, name: "Acme" };
  const globex = { id: GLOBEX, name: "Globex" };
  const issuers = {
    acme: await issuer("acme", {
      resource: `${baseUrl}/t/acme/mcp`,
      tenants: [acme],
      users: [ada, bob, nobody],
      broker: false,
    }),
    token: await issuer("token", {
      resource: `${baseUrl}/t/globex/mcp`,
      tenants: [globex],
      users: [globexAda],
      broker: false,
    }),
    shared: await issuer("shared", {
      resource: `${baseUrl}/mcp`,
      tenants: [acme, globex],
      users: [ada, bob, globexAda],
      broker: true,
    }),
  };
  return {
    baseUrl,
    issuers,
    served,
    database,
    faults,
    console: written,
    restart,
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await database.drop();
      for (const spy of spies) spy.mockRestore();
    },
  };
}

/** The registration by which a tenant trusts an issuer; `tenantValue` null for a broker. */
export function trustedOf(issuer: DevelopmentIssuer, tenantValue: string | null): TrustedIssuer {
  return {
    id: `iss_${issuer.name}` as IssuerId,
    issuer: issuer.issuer,
    jwksUri: `${issuer.issuer}/jwks`,
    broker: issuer.broker,
    ...ISSUER_DEFAULTS,
    tenantValue,
    development: true,
  };
}

/** Registers a public client, or what `metadata` says. */
export async function register(issuer: DevelopmentIssuer, metadata: Json = {}): Promise<Json> {
  const response = await tryToRegister(issuer, metadata);
  expect(response.status).toBe(201);
  return json(response);
}

export const tryToRegister = (issuer: DevelopmentIssuer, metadata: Json) =>
  fetch(`${issuer.issuer}/reg`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      client_name: "Test <b>",
      redirect_uris: [REDIRECT],
      token_endpoint_auth_method: "none",
      ...metadata,
    }),
  });

export function pkce() {
  const verifierText = randomBytes(32).toString("base64url");
  return { verifierText, challenge: createHash("sha256").update(verifierText).digest("base64url") };
}

/** The address that a client sends its person to; members that are undefined are left out. */
export function authorizeUrl(issuer: DevelopmentIssuer, params: Record<string, string | undefined>): string {
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

/** Goes through an authorization: authorize, choose a user, follow the redirects to the client. */
export async function authorize(
  issuer: DevelopmentIssuer,
  clientId: string,
  who: DevelopmentUser,
  more: { readonly params?: Record<string, string | undefined>; readonly open?: Browser } = {},
) {
  const { verifierText, challenge } = pkce();
  const { html, callback } = await signInAs(
    `${who.name} of `,
    authorizeUrl(issuer, { client_id: clientId, code_challenge: challenge, ...more.params }),
    more.open,
  );
  return { html, callback, code: callback.searchParams.get("code") ?? "", verifierText };
}

export const exchange = (
  issuer: DevelopmentIssuer,
  clientId: string,
  given: { readonly code: string; readonly verifierText: string },
) =>
  post(`${issuer.issuer}/token`, {
    grant_type: "authorization_code",
    client_id: clientId,
    code: given.code,
    code_verifier: given.verifierText,
    redirect_uri: REDIRECT,
  });

export const refresh = async (
  issuer: DevelopmentIssuer,
  clientId: string,
  token: unknown,
  more: Record<string, string> = {},
) =>
  json(
    await post(`${issuer.issuer}/token`, {
      grant_type: "refresh_token",
      client_id: clientId,
      refresh_token: String(token),
      ...more,
    }),
  );

/** Registers a client, signs in and exchanges the code. */
export async function signIn(
  issuer: DevelopmentIssuer,
  who: DevelopmentUser,
  params: Record<string, string | undefined> = {},
) {
  const clientId = String((await register(issuer)).client_id);
  const response = await exchange(issuer, clientId, await authorize(issuer, clientId, who, { params }));
  expect(response.status).toBe(200);
  return { clientId, tokens: await json(response) };
}

/** Begins an authorization, and stops before the sign-in page. */
export async function begin(issuer: DevelopmentIssuer, params: Record<string, string | undefined> = {}) {
  const clientId = String((await register(issuer)).client_id);
  const open = openBrowser();
  const started = await open(
    authorizeUrl(issuer, { client_id: clientId, code_challenge: pkce().challenge, ...params }),
  );
  return { open, started, url: locationOf(started).href };
}
