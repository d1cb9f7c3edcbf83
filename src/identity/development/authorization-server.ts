import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { importJWK, SignJWT } from "jose";
import type { Provider } from "oidc-provider";
import type { Clock } from "../../core/clock.ts";
import { Fault } from "../../core/fault.ts";
import type { TenantId } from "../../core/ids.ts";
import {
  checkDevelopmentIssuers,
  DEVELOPMENT_TENANT_CLAIM,
  type DevelopmentIssuer,
} from "./development-issuer.ts";
import { handleInteraction } from "./interaction-handler.ts";
import { createIssuerProvider } from "./issuer-provider.ts";
import { loadOidcProvider } from "./load-oidc-provider.ts";

/**
 * A real OAuth server for development: one issuer for each tenant and one broker, on `/issuers/{name}` of the server
 * itself. Signing in takes no password, so it must never be built outside development mode.
 */
export interface DevelopmentAuthorizationServer {
  /** Takes a request for one of its addresses; false, and nothing done, for any other. */
  handle(req: IncomingMessage, res: ServerResponse): boolean;
  /**
   * Signs an access token (RFC 9068) without anybody signing in.
   *
   * @throws Fault `setting_invalid` for an issuer, tenant or resource that does not belong together, or a lifetime over
   *   an hour.
   */
  issueToken(of: IssueTokenOptions): Promise<string>;
}

export interface IssueTokenOptions {
  /** The issuer's URL. */
  readonly issuer: string;
  readonly tenantId: TenantId;
  readonly subject: string;
  readonly resource: string;
  readonly permissions: readonly string[];
  /** 1 to 3,600. */
  readonly lifetimeSeconds: number;
}

export interface DevelopmentAuthorizationServerOptions {
  /** The server's public URL. */
  readonly baseUrl: string;
  readonly issuers: readonly DevelopmentIssuer[];
  /** Permissions that the server's catalog asks for; those of the users are added. */
  readonly scopes: readonly string[];
  readonly clock: Clock;
  /** Hears of what breaks inside; the caller of the OAuth server only sees `server_error`. */
  readonly onFault?: (cause: unknown) => void;
  /** Reads client-id metadata documents. */
  readonly fetch?: typeof globalThis.fetch;
  readonly random?: (bytes: number) => Buffer;
}

/** `client_id` of tokens that nobody's client asked for. */
const ISSUED_CLIENT_ID = "bulkhead-development";
const MAX_LIFETIME_SECONDS = 3600;
/** RFC 6749 section 3.3. */
const SCOPE = /^[\x21\x23-\x5B\x5D-\x7E]+$/;

/** @throws Fault `setting_invalid` where the issuers contradict each other or the base URL. */
export function createDevelopmentAuthorizationServer(
  options: DevelopmentAuthorizationServerOptions,
): DevelopmentAuthorizationServer {
  const { clock, random = randomBytes, onFault = () => {} } = options;
  checkDevelopmentIssuers(options.baseUrl, options.issuers);
  const issuers = new Map(options.issuers.map((issuer) => [new URL(issuer.issuer).pathname, issuer]));
  const providers = new Map<string, Promise<Provider>>();
  const cookieKeys = [random(32).toString("base64url")];

  function providerOf(issuer: DevelopmentIssuer): Promise<Provider> {
    const known = providers.get(issuer.name);
    if (known !== undefined) return known;
    const scopes = scopesOf(issuer, options.scopes);
    const fetch = options.fetch ?? globalThis.fetch;
    const provider = loadOidcProvider().then((library) =>
      createIssuerProvider(library, { issuer, scopes, cookieKeys, clock, fetch, onFault }),
    );
    providers.set(issuer.name, provider);
    return provider;
  }

  async function serve(
    issuer: DevelopmentIssuer,
    rest: string,
    req: IncomingMessage,
    res: ServerResponse,
  ): Promise<void> {
    try {
      const provider = await providerOf(issuer);
      const uid = /^\/interaction\/([^/?]+)$/.exec(rest)?.[1];
      if (uid !== undefined) return await handleInteraction({ issuer, provider, uid, req, res });
      // The library takes paths as if it stood at the root, and where it is mounted from its own context: a surrounding
      // framework's idea of the original URL would only confuse it.
      req.url = rest;
      Object.assign(req, { originalUrl: undefined });
      await provider.callback()(req, res);
    } catch (error) {
      onFault(error);
      if (!res.headersSent) res.writeHead(500, { "content-type": "application/json" });
      res.end('{"error":"server_error"}');
    }
  }

  return {
    handle(req, res) {
      const target = route(req.url ?? "");
      const issuer = target && issuers.get(target.issuerPath);
      if (!target || !issuer) return false;
      void serve(issuer, target.rest, req, res);
      return true;
    },
    async issueToken(of) {
      const issuer = options.issuers.find((one) => one.issuer === of.issuer);
      const tenant = issuer?.tenants.find((one) => one.id === of.tenantId && one.resource === of.resource);
      if (issuer === undefined || tenant === undefined) {
        throw new Fault("setting_invalid", {
          detail: "No development issuer gives tokens for this tenant and resource.",
        });
      }
      if (!(of.lifetimeSeconds >= 1 && of.lifetimeSeconds <= MAX_LIFETIME_SECONDS)) {
        throw new Fault("setting_invalid", { detail: "A development token lasts 1 to 3,600 seconds." });
      }
      const now = Math.floor(clock.now() / 1000);
      const { signingKey } = issuer;
      return new SignJWT({
        iss: issuer.issuer,
        sub: of.subject,
        aud: of.resource,
        iat: now,
        exp: now + Math.floor(of.lifetimeSeconds),
        jti: random(16).toString("base64url"),
        client_id: ISSUED_CLIENT_ID,
        scope: of.permissions.join(" "),
        [DEVELOPMENT_TENANT_CLAIM]: of.tenantId,
      })
        .setProtectedHeader({
          alg: "ES256",
          typ: "at+jwt",
          ...(signingKey.kid ? { kid: signingKey.kid } : {}),
        })
        .sign(await importJWK(signingKey, "ES256"));
    },
  };
}

const ISSUER_PATH = /^(\/issuers\/[a-z0-9_-]+)((?:\/[^?]*)?)$/;
/** RFC 8414 section 3.1 puts the well-known part before the issuer's path; OpenID discovery also after it. */
const WELL_KNOWN_FIRST =
  /^(\/\.well-known\/(?:oauth-authorization-server|openid-configuration))(\/issuers\/[a-z0-9_-]+)$/;

/** Splits an address into the issuer's path and what the issuer's own server is to see. */
function route(url: string): { issuerPath: string; rest: string } | null {
  const end = url.indexOf("?");
  const path = end === -1 ? url : url.slice(0, end);
  const query = end === -1 ? "" : url.slice(end);
  const wellKnown = WELL_KNOWN_FIRST.exec(path);
  if (wellKnown?.[1] && wellKnown[2]) return { issuerPath: wellKnown[2], rest: wellKnown[1] + query };
  const own = ISSUER_PATH.exec(path);
  return own?.[1] ? { issuerPath: own[1], rest: `${own[2] || "/"}${query}` } : null;
}

function scopesOf(issuer: DevelopmentIssuer, scopes: readonly string[]): string[] {
  const all = [...scopes, ...issuer.users.flatMap((user) => user.permissions)];
  return [...new Set(all)].filter((scope) => SCOPE.test(scope));
}
