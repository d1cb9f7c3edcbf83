import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair } from "jose";
import type { Provider } from "oidc-provider";
import { loadOidcProvider } from "../../src/identity/development/load-oidc-provider.ts";

/** An authorization server whose access tokens are opaque and are introspected (RFC 7662). */
export interface OpaqueIssuer {
  readonly issuer: string;
  readonly introspectionEndpoint: string;
  /** Introspections so far. */
  readonly questions: () => number;
  /** Gets a token by the client credentials grant. */
  issue(claims: Readonly<Record<string, unknown>>, resource: string): Promise<string>;
  revoke(token: string): Promise<void>;
  close(): Promise<void>;
}

export const INTROSPECTION_CLIENT = { clientId: "resource server", secret: "s3cret +/=%:&" } as const;
const MACHINE = { clientId: "machine", secret: "machine-secret" } as const;

export async function startOpaqueIssuer(): Promise<OpaqueIssuer> {
  const library = await loadOidcProvider();
  let questions = 0;
  let claims: Readonly<Record<string, unknown>> = {};
  let provider: Provider | undefined;
  const server = createServer((req, res) => {
    if (req.url === "/token/introspection") questions++;
    provider?.callback()(req, res);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const signingKey = await exportJWK((await generateKeyPair("ES256", { extractable: true })).privateKey);
  provider = new library.Provider(issuer, {
    jwks: { keys: [{ ...signingKey, alg: "ES256", use: "sig" }] },
    clientDefaults: { id_token_signed_response_alg: "ES256" },
    ttl: { ClientCredentials: 300 },
    clients: [
      {
        client_id: MACHINE.clientId,
        client_secret: MACHINE.secret,
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
      },
      {
        client_id: INTROSPECTION_CLIENT.clientId,
        client_secret: INTROSPECTION_CLIENT.secret,
        grant_types: [],
        redirect_uris: [],
        response_types: [],
      },
    ],
    extraTokenClaims: async () => claims,
    scopes: ["tickets:read", "tickets:write"],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: async () => true },
      revocation: { enabled: true, allowedPolicy: async () => true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: async (_ctx, resource) => ({
          scope: "tickets:read tickets:write",
          audience: resource,
          accessTokenFormat: "opaque",
          accessTokenTTL: 300,
        }),
      },
    },
  });

  async function post(path: string, form: Record<string, string>): Promise<Response> {
    const response = await fetch(`${issuer}${path}`, {
      method: "POST",
      headers: {
        authorization: `Basic ${Buffer.from(`${MACHINE.clientId}:${MACHINE.secret}`).toString("base64")}`,
      },
      body: new URLSearchParams(form),
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response;
  }

  return {
    issuer,
    introspectionEndpoint: `${issuer}/token/introspection`,
    questions: () => questions,
    async issue(extra, resource) {
      claims = extra;
      const response = await post("/token", {
        grant_type: "client_credentials",
        scope: "tickets:read",
        resource,
      });
      const { access_token: token } = (await response.json()) as { access_token: string };
      return token;
    },
    async revoke(token) {
      await post("/token/revocation", { token });
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
