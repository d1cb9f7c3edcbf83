import { createHmac } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Provider } from "oidc-provider";
import type { Clock } from "../../core/clock.ts";
import { Fault } from "../../core/fault.ts";
import {
  checkDevelopmentBaseUrl,
  checkDevelopmentIssuer,
  type DevelopmentIssuer,
} from "./development-issuer.ts";
import { handleInteraction } from "./interaction-handler.ts";
import { createIssuerProvider } from "./issuer-provider.ts";
import { createIssuerStorage, type IssuerStorage } from "./issuer-storage.ts";
import { loadOidcProvider } from "./load-oidc-provider.ts";

/**
 * A real OAuth server for development: one issuer for each tenant and one broker, on `/issuers/{name}` of the server
 * itself. Signing in takes no password.
 */
export interface DevelopmentAuthorizationServer {
  /** Takes a request for an address of one of its issuers; false, and nothing done, for any other. */
  handle(req: IncomingMessage, res: ServerResponse): Promise<boolean>;
}

export interface DevelopmentAuthorizationServerOptions {
  /** It is there in development and nowhere else. */
  readonly mode: "development" | "production";
  /** The server's public URL. */
  readonly baseUrl: string;
  /** Looked up at each request, so that issuers come and go with their tenants. Null: there is none of this name. */
  readonly issuerOf: (name: string) => Promise<DevelopmentIssuer | null>;
  readonly storage: IssuerStorage;
  readonly clock: Clock;
  /** Hears of what breaks inside; the caller of the OAuth server only sees `server_error`. */
  readonly onFault: (cause: unknown) => void;
  /** Reads client-id metadata documents. */
  readonly fetch: typeof globalThis.fetch;
}

/** Issuers that are kept ready to serve; the one made longest ago goes first. */
const MAX_PROVIDERS = 200;

/** @throws Fault `setting_invalid` outside development, or where the base URL is not of this machine. */
export function createDevelopmentAuthorizationServer(
  options: DevelopmentAuthorizationServerOptions,
): DevelopmentAuthorizationServer {
  if (options.mode !== "development") {
    throw new Fault("setting_invalid", {
      detail:
        "The development authorization server, which asks for no password, is for development mode only.",
    });
  }
  checkDevelopmentBaseUrl(options.baseUrl);
  const { clock, storage, onFault, fetch } = options;
  const providers = new Map<string, { readonly madeFrom: string; readonly provider: Promise<Provider> }>();

  function providerOf(issuer: DevelopmentIssuer): Promise<Provider> {
    const madeFrom = JSON.stringify(issuer);
    const known = providers.get(issuer.name);
    if (known?.madeFrom === madeFrom) return known.provider;
    checkDevelopmentIssuer(options.baseUrl, issuer);
    const provider = loadOidcProvider().then((library) =>
      createIssuerProvider(library, {
        issuer,
        cookieKeys: [cookieKeyOf(issuer)],
        adapter: createIssuerStorage({ storage, issuer: issuer.name, clock, library }),
        fetch,
        onFault,
      }),
    );
    providers.delete(issuer.name);
    providers.set(issuer.name, { madeFrom, provider });
    const [oldest] = providers.keys();
    if (providers.size > MAX_PROVIDERS && oldest !== undefined) providers.delete(oldest);
    return provider;
  }

  async function serve(of: {
    readonly issuer: DevelopmentIssuer;
    readonly rest: string;
    readonly req: IncomingMessage;
    readonly res: ServerResponse;
  }): Promise<void> {
    const { issuer, rest, req, res } = of;
    const provider = await providerOf(issuer);
    const uid = /^\/interaction\/([^/?]+)$/.exec(rest)?.[1];
    if (uid !== undefined) return handleInteraction({ issuer, provider, uid, req, res });
    // The library takes paths as if it stood at the root, and where it is mounted from its own context: a surrounding
    // framework's idea of the original URL would only confuse it.
    req.url = rest;
    Object.assign(req, { originalUrl: undefined });
    await provider.callback()(req, res);
  }

  return {
    async handle(req, res) {
      const target = route(req.url ?? "");
      if (target === null) return false;
      try {
        const issuer = await options.issuerOf(target.name);
        if (issuer === null) return false;
        await serve({ issuer, rest: target.rest, req, res });
      } catch (error) {
        onFault(error);
        if (!res.headersSent) res.writeHead(500, { "content-type": "application/json" });
        res.end('{"error":"server_error"}');
      }
      return true;
    },
  };
}

/** From the issuer's own secret, so that a page that is open while the server starts again, or a second one, still counts. */
function cookieKeyOf(issuer: DevelopmentIssuer): string {
  return createHmac("sha256", issuer.signingKey.d ?? "")
    .update("cookies of a development issuer")
    .digest("base64url");
}

const ISSUER_PATH = /^\/issuers\/([a-z0-9_-]+)((?:\/[^?]*)?)$/;
/** RFC 8414 section 3.1 puts the well-known part before the issuer's path; OpenID discovery also after it. */
const WELL_KNOWN_FIRST =
  /^(\/\.well-known\/(?:oauth-authorization-server|openid-configuration))\/issuers\/([a-z0-9_-]+)$/;

/** Splits an address into the issuer's name and what the issuer's own server is to see. */
function route(url: string): { readonly name: string; readonly rest: string } | null {
  const end = url.indexOf("?");
  const path = end === -1 ? url : url.slice(0, end);
  const query = end === -1 ? "" : url.slice(end);
  const wellKnown = WELL_KNOWN_FIRST.exec(path);
  if (wellKnown?.[1] && wellKnown[2]) return { name: wellKnown[2], rest: wellKnown[1] + query };
  const own = ISSUER_PATH.exec(path);
  return own?.[1] ? { name: own[1], rest: `${own[2] || "/"}${query}` } : null;
}
