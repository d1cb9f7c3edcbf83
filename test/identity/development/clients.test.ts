import { decodeJwt } from "jose";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../../src/core/clock.ts";
import { createKeySets } from "../../../src/identity/key-sets.ts";
import { createTokenVerifier } from "../../../src/identity/token-verifier.ts";
import {
  ACME,
  ada,
  authorize,
  DOCUMENT_CLIENT,
  exchange,
  type Json,
  json,
  post,
  register,
  trustedOf,
  tryToRegister,
} from "./running-authorization-server.ts";
import { useAuthorizationServer } from "./use-authorization-server.ts";

const server = useAuthorizationServer();

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
  const ask = async (client: Json, form: Record<string, string>) =>
    json(
      await post(
        `${server().issuers.acme.issuer}/token`,
        { grant_type: "client_credentials", ...form },
        basic(client),
      ),
    );

  test("give a token of the issuer's tenant with the scopes asked for", async () => {
    const { acme } = server().issuers;
    const client = await register(acme, machine);
    const tokens = await ask(client, { scope: "tickets:read unknown" });
    expect(tokens).toMatchObject({ token_type: "Bearer", expires_in: 300, scope: "tickets:read" });
    const keySets = createKeySets({
      clock: systemClock,
      allowLoopbackHttp: true,
      allowPrivateAddresses: false,
    });
    const verifier = createTokenVerifier({ clock: systemClock, keySets, cacheSize: 100 });
    const result = await verifier.verify(String(tokens.access_token), {
      resource: acme.resource,
      candidates: [trustedOf(acme, ACME)],
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
    const client = await register(server().issuers.acme, machine);
    expect(decodeJwt(String((await ask(client, {})).access_token))).toMatchObject({
      scope: "tickets:read tickets:write",
      tenant_id: ACME,
    });
    // Clients ask for everything that the resource names.
    const asked = await ask(client, { scope: "tickets:write tickets:delete" });
    expect(asked.scope).toBe("tickets:write");
    expect(decodeJwt(String(asked.access_token)).scope).toBe("tickets:write");
    expect(await ask(client, { scope: "tickets:delete" })).toMatchObject({ error: "invalid_scope" });
    expect(await ask(client, { resource: server().issuers.token.resource })).toMatchObject({
      error: "invalid_target",
    });
    expect(await ask({ ...client, client_secret: "x" }, {})).toMatchObject({ error: "invalid_client" });
  });

  test("go on after a restart of the server", async () => {
    const client = await register(server().issuers.acme, machine);
    server().restart();
    expect(await ask(client, {})).toMatchObject({ token_type: "Bearer" });
  });

  test("are not offered by the broker, whose tenant comes from a user", async () => {
    const response = await tryToRegister(server().issuers.shared, machine);
    expect(response.status).toBe(400);
    expect(await json(response)).toMatchObject({ error: "invalid_client_metadata" });
  });
});

describe("registration", () => {
  test("takes what clients on this machine send without saying that they are native", async () => {
    const { acme } = server().issuers;
    for (const redirect of [
      "http://127.0.0.1/callback",
      "http://localhost:33418/",
      "http://[::1]:4000/callback",
      "cursor://anysphere.cursor-mcp/oauth/callback",
      "com.example.app:/callback",
      "https://client.example/callback",
    ]) {
      const client = await register(acme, { redirect_uris: [redirect] });
      expect(client).toMatchObject({ redirect_uris: [redirect] });
      expect(client).not.toHaveProperty("registration_access_token");
    }
  });

  test.each([
    ["plain http to another machine", { redirect_uris: ["http://client.example/callback"] }],
    ["a script as redirect address", { redirect_uris: ["javascript:alert(1)"] }],
    ["a redirect address with a fragment", { redirect_uris: ["http://127.0.0.1/callback#x"] }],
    ["the implicit grant", { grant_types: ["implicit"], response_types: ["id_token"] }],
    ["the password grant", { grant_types: ["password"] }],
    [
      "a scope that there is not, for a client without a person",
      {
        grant_types: ["client_credentials"],
        response_types: [],
        redirect_uris: [],
        scope: "tickets:explode",
      },
    ],
  ])("refuses %s", async (_name, metadata) => {
    const response = await tryToRegister(server().issuers.acme, metadata);
    expect(response.status).toBe(400);
    expect(String((await json(response)).error)).toMatch(/^invalid_(client_metadata|redirect_uri)$/);
  });

  test("with a scope does not keep a client from asking for more later, when it steps up", async () => {
    const { acme } = server().issuers;
    const client = await register(acme, { scope: "tickets:read" });
    const clientId = String(client.client_id);
    const given = await authorize(acme, clientId, ada, { params: { scope: "tickets:read tickets:write" } });
    expect(await json(await exchange(acme, clientId, given))).toMatchObject({
      scope: "tickets:read tickets:write",
    });
  });

  test("of a loopback address stands for every port, as native clients take whichever is free", async () => {
    const { acme } = server().issuers;
    const client = await register(acme, { redirect_uris: ["http://127.0.0.1/callback"] });
    const { callback } = await authorize(acme, String(client.client_id), ada, {
      params: { redirect_uri: "http://127.0.0.1:51234/callback" },
    });
    expect(callback.origin).toBe("http://127.0.0.1:51234");
    expect(callback.searchParams.get("code")).toEqual(expect.any(String));
  });
});

test("a client may be named by a metadata document instead of registering", async () => {
  const { acme } = server().issuers;
  const given = await authorize(acme, DOCUMENT_CLIENT, ada);
  const tokens = await json(await exchange(acme, DOCUMENT_CLIENT, given));
  expect(decodeJwt(String(tokens.access_token))).toMatchObject({
    client_id: DOCUMENT_CLIENT,
    sub: "ada",
    tenant_id: ACME,
  });
});

test("a browser client is answered across origins only from its own", async () => {
  const { acme } = server().issuers;
  const clientId = String((await register(acme)).client_id);
  const ask = (origin: string) =>
    post(
      `${acme.issuer}/token`,
      { grant_type: "authorization_code", client_id: clientId, code: "x", code_verifier: "y".repeat(43) },
      { origin },
    );
  expect((await ask("http://127.0.0.1:6789")).headers.get("access-control-allow-origin")).toBe(
    "http://127.0.0.1:6789",
  );
  expect((await ask("https://evil.example")).headers.get("access-control-allow-origin")).toBeNull();
});
