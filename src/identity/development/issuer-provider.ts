import type { EventEmitter } from "node:events";
import type { Adapter, Client, Configuration, KoaContextWithOIDC, Provider } from "oidc-provider";
import { Fault } from "../../core/fault.ts";
import {
  accountsOf,
  DEVELOPMENT_TENANT_CLAIM,
  type DevelopmentIssuer,
  type DevelopmentUser,
} from "./development-issuer.ts";
import type { OidcProvider } from "./load-oidc-provider.ts";
import { PAGE_HEADERS, problemPage } from "./sign-in-page.ts";

/** Seconds. */
const ACCESS_TOKEN_TTL = 300;
const INTERACTION_TTL = 3600;
const GRANT_TTL = 7 * 86_400;

/** The draft that the library must implement: it refuses to start with another, rather than change in silence. */
const CLIENT_METADATA_DRAFT = "draft-02";

export interface IssuerProviderOptions {
  readonly issuer: DevelopmentIssuer;
  readonly cookieKeys: readonly string[];
  readonly adapter: (kind: string) => Adapter;
  /** Reads client-id metadata documents. */
  readonly fetch: typeof globalThis.fetch;
  readonly onFault: (cause: unknown) => void;
}

/** Builds the OAuth server of one issuer. Its times come from the system's clock, which the library reads itself. */
export function createIssuerProvider(library: OidcProvider, options: IssuerProviderOptions): Provider {
  const provider = new library.Provider(options.issuer.issuer, configurationOf(library, options));
  const { origin, host, protocol, pathname } = new URL(options.issuer.issuer);
  const everything = scopesOf(options.issuer).join(" ");

  provider.use(async (ctx, next) => {
    // The library builds its URLs from the Host header; ours come from configuration, so that a caller cannot choose
    // where clients are sent.
    Object.defineProperties(ctx.request, {
      host: { value: host },
      protocol: { value: protocol.slice(0, -1) },
      origin: { value: origin },
    });
    ctx.mountPath = pathname;
    // RFC 6749 section 3.3 lets a server fall back on a default scope: everything, of which the user's part is granted.
    if (ctx.path === "/auth" && ctx.query.scope === undefined && everything !== "") {
      ctx.query = { ...ctx.query, scope: everything };
    }
    await next();
    // Every authorization asks anew who it is for: a development server is used to be several people in turn.
    const session = (ctx as Partial<Pick<KoaContextWithOIDC, "oidc">>).oidc?.session;
    if (session?.accountId !== undefined) await session.destroy();
  });
  // Koa writes to the console where nobody listens for errors; its typings leave the event out.
  const errors: EventEmitter = provider;
  errors.on("error", options.onFault);
  provider.on("server_error", (_ctx, error) => options.onFault(error));
  return provider;
}

function configurationOf(library: OidcProvider, options: IssuerProviderOptions): Configuration {
  const { issuer } = options;
  const scopes = scopesOf(issuer);
  const users = accountsOf(issuer);
  const policy = library.interactionPolicy.base();
  // The sign-in page says who asks for what; choosing a user there is the consent. The prompt itself stays: a client that
  // asks for offline_access names it (OpenID Connect Core section 11), and would be refused.
  policy.get("consent")?.checks.clear();

  return {
    adapter: options.adapter,
    jwks: { keys: [{ ...issuer.signingKey }] },
    scopes: ["openid", "offline_access", ...scopes],
    claims: { openid: ["sub"] },
    responseTypes: ["code"],
    clientAuthMethods: ["none", "client_secret_basic", "client_secret_post"],
    clientDefaults: {
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      id_token_signed_response_alg: "ES256",
      token_endpoint_auth_method: "client_secret_basic",
      // Programs on this machine are the usual clients, and many do not say what they are: a loopback redirect on any port
      // (RFC 8252 section 7.3), or a scheme of their own.
      application_type: "native",
    },
    extraClientMetadata: {
      properties: ["scope"],
      // A scope in the registration would bound what the client can ever ask for. Clients name what they need first, and
      // step up later: for those a person signs in, whose permissions are the bound.
      validator: (_ctx, _key, _value, metadata) => {
        if (!metadata.grant_types?.includes("client_credentials")) delete metadata.scope;
      },
    },
    clientBasedCORS: (_ctx, origin, client) =>
      (client.redirectUris ?? []).some((uri) => URL.canParse(uri) && new URL(uri).origin === origin),
    // Several issuers share a host: each keeps to its own path.
    cookies: {
      keys: [...options.cookieKeys],
      long: { path: new URL(issuer.issuer).pathname, httpOnly: true, sameSite: "lax", signed: true },
      short: { httpOnly: true, sameSite: "lax", signed: true },
    },
    pkce: { required: () => true },
    issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed("refresh_token"),
    rotateRefreshToken: () => true,
    expiresWithSession: async () => false,
    interactions: {
      policy,
      url: (_ctx, interaction) => `${issuer.issuer}/interaction/${interaction.uid}`,
    },
    findAccount: (_ctx, accountId) => {
      const user = users.get(accountId);
      return user && { accountId, claims: () => ({ sub: user.subject }) };
    },
    loadExistingGrant: (ctx) => grantFor(ctx, users),
    renderError: (ctx, out) => {
      ctx.set(PAGE_HEADERS);
      ctx.body = problemPage(`${out.error}: ${out.error_description ?? ""}`);
    },
    formats: {
      customizers: {
        jwt: (_ctx, token, { payload }) => {
          const user = "accountId" in token ? users.get(token.accountId) : undefined;
          if (user !== undefined) payload.sub = user.subject;
          // A client that acts for itself is of the one tenant; a broker has no such clients.
          const tenant = "accountId" in token || issuer.broker ? user?.tenantId : issuer.tenants[0]?.id;
          if (tenant === undefined) throw new Fault("internal", { detail: "A token would be of no tenant." });
          payload[DEVELOPMENT_TENANT_CLAIM] = tenant;
        },
      },
    },
    features: {
      devInteractions: { enabled: false },
      // Tokens are bound to the key of whichever client proves that it has one (RFC 9449).
      dPoP: { enabled: true },
      userinfo: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      clientCredentials: { enabled: !issuer.broker },
      // Registrations are not managed afterwards, so there is no token for that.
      registration: { enabled: true, initialAccessToken: false, issueRegistrationAccessToken: false },
      revocation: {
        enabled: true,
        allowedPolicy: async (_ctx, client, token) => token.clientId === client.clientId,
      },
      clientIdMetadataDocument: { enabled: true, ack: CLIENT_METADATA_DRAFT },
      resourceIndicators: {
        enabled: true,
        // Without a resource the library would give an opaque token that names no audience.
        defaultResource: async (_ctx, _client, oneOf) => oneOf ?? issuer.resource,
        useGrantedResource: async () => true,
        getResourceServerInfo: async (ctx, resource, client) => {
          if (resource !== issuer.resource) throw new library.errors.InvalidTarget();
          const { account, params } = ctx.oidc;
          if (params?.grant_type === "client_credentials")
            params.scope = scopeOfMachine(client, params.scope);
          // What a user may no longer do is gone from the next token, whatever was granted before.
          const user = account && users.get(account.accountId);
          const possible = user ? scopes.filter((scope) => user.permissions.includes(scope)) : scopes;
          return {
            scope: possible.join(" "),
            audience: resource,
            accessTokenFormat: "jwt",
            accessTokenTTL: ACCESS_TOKEN_TTL,
            jwt: { sign: { alg: "ES256" } },
          };
        },
      },
    },
    fetch: options.fetch,
    ttl: {
      AccessToken: ACCESS_TOKEN_TTL,
      ClientCredentials: ACCESS_TOKEN_TTL,
      AuthorizationCode: 60,
      Grant: GRANT_TTL,
      IdToken: ACCESS_TOKEN_TTL,
      Interaction: INTERACTION_TTL,
      RefreshToken: GRANT_TTL,
      Session: INTERACTION_TTL,
    },
  };
}

/** RFC 6749 section 3.3. */
const SCOPE = /^[\x21\x23-\x5B\x5D-\x7E]+$/;

/** Permissions that can be asked for as scopes. */
function scopesOf(issuer: DevelopmentIssuer): string[] {
  const all = [...issuer.scopes, ...issuer.users.flatMap((user) => user.permissions)];
  return [...new Set(all)].filter((scope) => SCOPE.test(scope));
}

/**
 * RFC 6749 section 3.3 lets a server narrow what is asked for. A client without a person gets what it registered, as far as
 * it asks for it: clients ask for all that a resource names. Where nothing is left it is refused by what it asked.
 */
function scopeOfMachine(client: Client, asked: unknown): unknown {
  if (client.scope === undefined || typeof asked !== "string") return asked ?? client.scope;
  const registered = new Set(client.scope.split(" "));
  const narrowed = asked.split(" ").filter((scope) => registered.has(scope));
  return narrowed.length > 0 ? narrowed.join(" ") : asked;
}

/** Grants what was asked for as far as the chosen user has it. */
async function grantFor(ctx: KoaContextWithOIDC, users: ReadonlyMap<string, DevelopmentUser>) {
  const { client, session, provider } = ctx.oidc;
  const user = users.get(session?.accountId ?? "");
  if (user === undefined || client === undefined || session?.accountId === undefined) return undefined;
  const grant = new provider.Grant({ accountId: session.accountId, clientId: client.clientId });
  const asked = ctx.oidc.requestParamScopes;
  const own = ["openid", "offline_access"].filter((scope) => asked.has(scope));
  if (own.length > 0) grant.addOIDCScope(own.join(" "));
  const permitted = user.permissions.filter((permission) => asked.has(permission));
  if (permitted.length > 0) {
    for (const resource of Object.keys(ctx.oidc.resourceServers ?? {})) {
      grant.addResourceScope(resource, permitted.join(" "));
    }
  }
  await grant.save();
  return grant;
}
