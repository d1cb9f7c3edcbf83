import {
  Client,
  type OAuthClientProvider,
  type OAuthDiscoveryState,
  type StoredOAuthClientInformation,
  type StoredOAuthTokens,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from "@modelcontextprotocol/client";
import { signInAs } from "./oauth-browser.ts";

/** Where the client would hear of the code; nothing listens there, the test carries it over. */
export const CLIENT_REDIRECT = "http://127.0.0.1:6789/callback";

/** What a client program keeps of its sign-ins, as the official client asks for it. Nothing in it is made by hand. */
export class ClientProgram implements OAuthClientProvider {
  readonly redirectUrl = CLIENT_REDIRECT;
  readonly clientMetadata = {
    client_name: "A client program",
    redirect_uris: [CLIENT_REDIRECT],
    grant_types: ["authorization_code", "refresh_token"],
    token_endpoint_auth_method: "none",
  };
  readonly clientMetadataUrl?: string;
  /** Where the person was sent, the last first. */
  readonly sentTo: URL[] = [];
  client: StoredOAuthClientInformation | undefined;
  stored: StoredOAuthTokens | undefined;
  #verifier = "";
  #discovered: OAuthDiscoveryState | undefined;

  constructor(clientMetadataUrl?: string) {
    if (clientMetadataUrl !== undefined) this.clientMetadataUrl = clientMetadataUrl;
  }
  clientInformation = () => this.client;
  saveClientInformation = (client: StoredOAuthClientInformation) => {
    this.client = client;
  };
  tokens = () => this.stored;
  saveTokens = (tokens: StoredOAuthTokens) => {
    this.stored = tokens;
  };
  redirectToAuthorization = (url: URL) => {
    this.sentTo.unshift(url);
  };
  saveCodeVerifier = (verifier: string) => {
    this.#verifier = verifier;
  };
  codeVerifier = () => this.#verifier;
  saveDiscoveryState = (state: OAuthDiscoveryState) => {
    this.#discovered = state;
  };
  discoveryState = () => this.#discovered;
  state = () => "state-of-the-client";
}

/** One request of the client and its answer: `POST /t/acme/mcp 401`. Queries, and so codes, are left out. */
export type Exchange = `${string} ${string} ${number}`;

/** A connection of the official client that writes down what it asks. */
export function openTransport(
  url: string,
  authProvider: OAuthClientProvider,
  exchanges: Exchange[] = [],
): { readonly transport: StreamableHTTPClientTransport; readonly exchanges: Exchange[] } {
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    authProvider,
    fetch: async (input, init) => {
      const response = await fetch(input, init);
      exchanges.push(`${init?.method ?? "GET"} ${new URL(String(input)).pathname} ${response.status}`);
      return response;
    },
  });
  return { transport, exchanges };
}

export function newClient(): Client {
  return new Client(
    { name: "bulkhead-test", version: "1.0.0" },
    { versionNegotiation: { mode: { pin: "2026-07-28" } } },
  );
}

/** The client program and a connection of it. */
export interface Connection {
  readonly program: ClientProgram;
  readonly transport: StreamableHTTPClientTransport;
}

/** What a person does where the client has sent them; the client takes the answer. */
export async function signInAt({ program, transport }: Connection, who: string): Promise<void> {
  const [sentTo] = program.sentTo;
  if (sentTo === undefined) throw new TypeError("The client was not sent to sign in.");
  const { callback } = await signInAs(who, sentTo.href);
  await transport.finishAuth(callback.searchParams);
}

/**
 * Does `work`; where that ends because somebody has to sign in, a person does so as `who`.
 * @returns false where nobody needed to sign in.
 */
export async function signingInAs(
  who: string,
  at: Connection,
  work: () => Promise<unknown>,
): Promise<boolean> {
  try {
    await work();
    return false;
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
  }
  await signInAt(at, who);
  return true;
}

/** Connects, signing in as `who` where that is asked for. */
export async function connectAs(
  who: string,
  url: string,
  program: ClientProgram = new ClientProgram(),
): Promise<{
  readonly client: Client;
  readonly program: ClientProgram;
  readonly transport: StreamableHTTPClientTransport;
  readonly exchanges: Exchange[];
}> {
  const first = openTransport(url, program);
  const client = newClient();
  const at = { program, transport: first.transport };
  if (!(await signingInAs(who, at, () => client.connect(first.transport)))) {
    return { client, program, ...first };
  }
  const second = openTransport(url, program, first.exchanges);
  const connected = newClient();
  await connected.connect(second.transport);
  return { client: connected, program, ...second };
}
