import {
  auth,
  type Client,
  ClientCredentialsProvider,
  discoverOAuthServerInfo,
  registerClient,
} from "@modelcontextprotocol/client";
import { decodeJwt } from "jose";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import {
  CLIENT_REDIRECT,
  ClientProgram,
  connectAs,
  newClient,
  openTransport,
  signInAt,
  signingInAs,
} from "../support/oauth-client.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";

/** The official client's own flows: every token here was given by the authorization server to a client that asked. */
let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const claimsOf = (program: { stored: { access_token: string } | undefined }) =>
  decodeJwt(program.stored?.access_token ?? "");

/** A call that needs tickets:write. */
async function openTicket(client: Client) {
  const [customer] = await server.database.admin<{ email: string }>(
    "SELECT email FROM app.customers WHERE tenant_id = $1 LIMIT 1",
    [server.acme.id],
  );
  return client.callTool({
    name: "open_ticket",
    arguments: { customerEmail: customer?.email, subject: "The arm is stuck", body: "Since this morning." },
  });
}

const places = [
  ["a tenant's URL", () => ({ mcp: server.acme.mcp, path: "/t/acme/mcp", issuer: "acme" })],
  ["the shared URL", () => ({ mcp: server.shared, path: "/mcp", issuer: "_shared" })],
] as const;

describe.each(places)("on %s", (_name, place) => {
  test("from 401 by way of metadata, registration and a code to a tool call", async () => {
    const { mcp, path, issuer } = place();
    const { client, program, exchanges } = await connectAs("Ada Marsh of Acme Robotics", mcp);
    expect(exchanges.slice(0, 5)).toEqual([
      `POST ${path} 401`,
      `GET /.well-known/oauth-protected-resource${path} 200`,
      `GET /.well-known/oauth-authorization-server/issuers/${issuer} 200`,
      `POST /issuers/${issuer}/reg 201`,
      `POST /issuers/${issuer}/token 200`,
    ]);
    expect(exchanges[5]).toBe(`POST ${path} 200`);

    const [sentTo] = program.sentTo;
    expect(sentTo?.origin).toBe(server.url);
    expect(Object.fromEntries(sentTo?.searchParams ?? [])).toMatchObject({
      resource: mcp,
      code_challenge_method: "S256",
      redirect_uri: CLIENT_REDIRECT,
    });
    expect(claimsOf(program)).toMatchObject({
      iss: `${server.url}/issuers/${issuer}`,
      aud: mcp,
      sub: "ada",
      tenant_id: server.acme.id,
    });

    const found = await client.callTool({ name: "search_tickets", arguments: { limit: 1 } });
    expect(found.isError).not.toBe(true);
    const mine = await client.callTool({ name: "list_my_customers", arguments: {} });
    const [own] = await server.database.admin<{ email: string }>(
      "SELECT email FROM app.customers WHERE tenant_id = $1 LIMIT 1",
      [server.acme.id],
    );
    expect(JSON.stringify(mine)).toContain(own?.email);
    await client.close();
  });

  test("when the token has expired it is renewed, without anybody signing in", async () => {
    const { mcp, path, issuer } = place();
    const { client, program, exchanges } = await connectAs("Ada Marsh of Acme Robotics", mcp);
    const before = program.stored;
    const known = exchanges.length;
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 6 * 60_000 });
    const found = await client.callTool({ name: "search_tickets", arguments: { limit: 1 } });
    expect(found.isError).not.toBe(true);
    expect(exchanges.slice(known)).toEqual([
      `POST ${path} 401`,
      `POST /issuers/${issuer}/token 200`,
      `POST ${path} 200`,
    ]);
    expect(program.sentTo).toHaveLength(1);
    expect(program.stored?.access_token).not.toBe(before?.access_token);
    expect(program.stored?.refresh_token).not.toBe(before?.refresh_token);
    await client.close();
  });

  test("a tool that needs more than the token has: 403, one more sign-in for it, and then the call", async () => {
    const { mcp, path } = place();
    const program = new ClientProgram();
    // A client that asks for little at first.
    expect(await auth(program, { serverUrl: mcp, scope: "tickets:read" })).toBe("REDIRECT");
    const { transport } = openTransport(mcp, program);
    await signInAt({ program, transport }, "Ada Marsh of Acme Robotics");
    expect(claimsOf(program).scope).toBe("tickets:read");

    const connection = await connectAs("nobody, since the token is good", mcp, program);
    const { client, exchanges } = connection;
    const known = exchanges.length;
    const report = () => openTicket(client);
    expect(await signingInAs("Ada Marsh of Acme Robotics", connection, report)).toBe(true);
    expect(exchanges[known]).toBe(`POST ${path} 403`);
    expect(program.sentTo[0]?.searchParams.get("scope")?.split(" ")).toEqual(
      expect.arrayContaining(["tickets:read", "tickets:write"]),
    );
    expect(String(claimsOf(program).scope).split(" ").sort()).toEqual(["tickets:read", "tickets:write"]);
    expect((await report()).isError).not.toBe(true);
    await client.close();
  });

  test("a person who may not have what the tool needs gets no further by signing in again", async () => {
    const { mcp } = place();
    const connection = await connectAs("Vic Tran of Acme Robotics", mcp);
    const { client, program } = connection;
    expect(claimsOf(program).scope).toBe("tickets:read");
    const open = () => openTicket(client);
    expect(await signingInAs("Vic Tran of Acme Robotics", connection, open)).toBe(true);
    expect(claimsOf(program).scope).toBe("tickets:read");
    await client.close();
  });

  test("a client that is named by its metadata document does not register", async () => {
    const address = "https://client.example/oauth/metadata.json";
    const real = globalThis.fetch;
    // The one machine of these flows that is not here.
    vi.stubGlobal("fetch", (input: string | URL | Request, init?: RequestInit) =>
      String(input) === address
        ? Promise.resolve(
            Response.json({
              client_id: address,
              client_name: "A client with a document",
              redirect_uris: [CLIENT_REDIRECT],
              grant_types: ["authorization_code", "refresh_token"],
              token_endpoint_auth_method: "none",
            }),
          )
        : real(input, init),
    );
    const { mcp } = place();
    const { client, program, exchanges } = await connectAs(
      "Ada Marsh of Acme Robotics",
      mcp,
      new ClientProgram(address),
    );
    expect(exchanges.filter((exchange) => exchange.includes("/reg "))).toEqual([]);
    expect(claimsOf(program)).toMatchObject({ client_id: address, sub: "ada" });
    expect((await client.listTools()).tools.length).toBeGreaterThan(0);
    await client.close();
  });
});

test("a machine signs in with client credentials and calls a tool", async () => {
  const { mcp } = server.acme;
  const { authorizationServerUrl, authorizationServerMetadata } = await discoverOAuthServerInfo(mcp);
  if (authorizationServerMetadata === undefined) throw new TypeError("There is no metadata.");
  const registered = await registerClient(authorizationServerUrl, {
    metadata: authorizationServerMetadata,
    clientMetadata: {
      client_name: "A machine",
      redirect_uris: [],
      response_types: [],
      grant_types: ["client_credentials"],
      token_endpoint_auth_method: "client_secret_basic",
      scope: "tickets:read",
    },
  });
  const provider = new ClientCredentialsProvider({
    clientId: registered.client_id,
    clientSecret: registered.client_secret ?? "",
    expectedIssuer: authorizationServerMetadata.issuer,
    scope: "tickets:read",
  });
  const { transport, exchanges } = openTransport(mcp, provider);
  const client = newClient();
  await client.connect(transport);
  expect(exchanges).toContain("POST /issuers/acme/token 200");
  expect((await client.callTool({ name: "search_tickets", arguments: {} })).isError).not.toBe(true);
  expect(decodeJwt(provider.tokens()?.access_token ?? "")).toMatchObject({
    sub: registered.client_id,
    aud: mcp,
    tenant_id: server.acme.id,
    scope: "tickets:read",
  });
  await client.close();
});

describe("signing in at one tenant's issuer", () => {
  test("gives nothing at another tenant's URL, which sends the client to its own issuer", async () => {
    const { program } = await connectAs("Ada Marsh of Acme Robotics", server.acme.mcp);
    const token = program.stored?.access_token;
    const elsewhere = new ClientProgram();
    elsewhere.stored = program.stored;
    const { transport, exchanges } = openTransport(server.globex.mcp, elsewhere);
    await expect(newClient().connect(transport)).rejects.toThrow();
    expect(exchanges[0]).toBe("POST /t/globex/mcp 401");
    expect(exchanges).not.toContain("POST /t/globex/mcp 200");
    expect(elsewhere.sentTo[0]?.pathname).toBe("/issuers/globex/auth");

    for (const url of [server.globex.mcp, server.shared]) {
      const response = await fetch(url, { method: "POST", headers: { authorization: `Bearer ${token}` } });
      expect(response.status).toBe(401);
      expect(response.headers.get("www-authenticate")).toContain('error="invalid_token"');
    }
  });

  test("does not go with another tenant's resource", async () => {
    const { program } = await connectAs("Ada Marsh of Acme Robotics", server.acme.mcp);
    const url = new URL(program.sentTo[0]?.href ?? "");
    url.searchParams.set("resource", server.globex.mcp);
    const response = await fetch(url, { redirect: "manual" });
    const answer = new URL(response.headers.get("location") ?? "");
    expect(answer.searchParams.get("error")).toBe("invalid_target");
    expect(answer.searchParams.get("code")).toBeNull();
  });

  test("of the broker as a person of one tenant shows that tenant's things alone", async () => {
    const { client } = await connectAs("Grace Lindholm of", server.shared);
    const mine = JSON.stringify(await client.callTool({ name: "list_my_customers", arguments: {} }));
    const emails = (of: string) =>
      server.database.admin<{ email: string }>("SELECT email FROM app.customers WHERE tenant_id = $1", [of]);
    for (const { email } of await emails(server.globex.id)) expect(mine).toContain(email);
    for (const { email } of await emails(server.acme.id)) expect(mine).not.toContain(email);
    await client.close();
  });
});
