import { decodeJwt } from "jose";
import { expect, test } from "vitest";
import {
  ACME,
  ada,
  authorize,
  exchange,
  globexAda,
  json,
  post,
  refresh,
  register,
  signIn,
} from "./running-authorization-server.ts";
import { useAuthorizationServer } from "./use-authorization-server.ts";

const server = useAuthorizationServer();

test("rotate, keep tenant and audience, and the use of an old one ends them all", async () => {
  const { acme } = server().issuers;
  const { clientId, tokens } = await signIn(acme, ada, { scope: "tickets:read" });
  const renewed = await refresh(acme, clientId, tokens.refresh_token);
  expect(renewed.refresh_token).not.toBe(tokens.refresh_token);
  expect(decodeJwt(String(renewed.access_token))).toMatchObject({
    sub: "ada",
    aud: acme.resource,
    tenant_id: ACME,
    scope: "tickets:read",
  });
  expect(await refresh(acme, clientId, renewed.refresh_token, { scope: "tickets:write" })).toMatchObject({
    error: "invalid_scope",
  });
  const invalid = { error: "invalid_grant" };
  expect(await refresh(acme, clientId, tokens.refresh_token)).toMatchObject(invalid);
  expect(await refresh(acme, clientId, renewed.refresh_token)).toMatchObject(invalid);
});

test("one that is used many times at once counts at most once", async () => {
  const { acme } = server().issuers;
  const { clientId, tokens } = await signIn(acme, ada);
  const answers = await Promise.all(
    Array.from({ length: 6 }, () => refresh(acme, clientId, tokens.refresh_token)),
  );
  expect(answers.filter((answer) => answer.error === undefined).length).toBeLessThanOrEqual(1);
  for (const { error } of answers) expect([undefined, "invalid_grant"]).toContain(error);
});

test("are of one client and one issuer", async () => {
  const { acme, token: globex } = server().issuers;
  const { clientId, tokens } = await signIn(acme, ada);
  const other = String((await register(acme)).client_id);
  const elsewhere = String((await register(globex)).client_id);
  expect(await refresh(acme, other, tokens.refresh_token)).toMatchObject({ error: "invalid_grant" });
  expect(await refresh(globex, elsewhere, tokens.refresh_token)).toMatchObject({ error: "invalid_grant" });
  expect(await refresh(acme, clientId, tokens.refresh_token)).toMatchObject({ token_type: "Bearer" });
});

test("can be revoked by their client, and by no other", async () => {
  const { acme } = server().issuers;
  const { clientId, tokens } = await signIn(acme, ada);
  const other = String((await register(acme)).client_id);
  const revoke = (by: string) =>
    post(`${acme.issuer}/token/revocation`, { client_id: by, token: String(tokens.refresh_token) });
  await revoke(other);
  const renewed = await refresh(acme, clientId, tokens.refresh_token);
  expect(renewed).toMatchObject({ token_type: "Bearer" });
  expect(
    (
      await post(`${acme.issuer}/token/revocation`, {
        client_id: clientId,
        token: String(renewed.refresh_token),
      })
    ).status,
  ).toBe(200);
  expect(await refresh(acme, clientId, renewed.refresh_token)).toMatchObject({ error: "invalid_grant" });
});

test("and clients and codes outlive a restart of the server", async () => {
  const { acme } = server().issuers;
  const { clientId, tokens } = await signIn(acme, ada);
  server().restart();
  const renewed = await refresh(acme, clientId, tokens.refresh_token);
  expect(decodeJwt(String(renewed.access_token))).toMatchObject({ sub: "ada", tenant_id: ACME });
  // What was used before the restart is known to have been used.
  server().restart();
  expect(await refresh(acme, clientId, tokens.refresh_token)).toMatchObject({ error: "invalid_grant" });

  const given = await authorize(acme, clientId, ada);
  server().restart();
  expect((await exchange(acme, clientId, given)).status).toBe(200);
});

test("give no more than the user may do now", async () => {
  const { acme } = server().issuers;
  const { clientId, tokens } = await signIn(acme, ada, { scope: "tickets:read tickets:write" });
  expect(tokens.scope).toBe("tickets:read tickets:write");
  server().served.set("acme", { ...acme, users: [{ ...ada, permissions: ["tickets:read"] }] });
  const less = await refresh(acme, clientId, tokens.refresh_token);
  expect(decodeJwt(String(less.access_token)).scope).toBe("tickets:read");
  expect(less.scope).toBe("tickets:read");
  server().served.set("acme", { ...acme, users: [] });
  expect(await refresh(acme, clientId, less.refresh_token)).toMatchObject({ error: "invalid_grant" });
  server().served.set("acme", acme);
});

test("of the broker are worth nothing when their tenant is gone, also where another has the same subject", async () => {
  const { shared } = server().issuers;
  const { clientId, tokens } = await signIn(shared, globexAda);
  const [acme] = shared.tenants;
  if (acme === undefined) throw new TypeError("The broker has no tenant.");
  server().served.set("shared", { ...shared, tenants: [acme], users: [ada] });
  expect(await refresh(shared, clientId, tokens.refresh_token)).toMatchObject({ error: "invalid_grant" });
  server().served.set("shared", shared);
});

test("what is kept contains no code and no token", async () => {
  const { acme } = server().issuers;
  const clientId = String((await register(acme)).client_id);
  const given = await authorize(acme, clientId, ada);
  const tokens = await json(await exchange(acme, clientId, given));
  const rows = await server().database.admin<{ row: string }>(
    "SELECT s::text AS row FROM bulkhead.development_storage s",
  );
  const text = rows.map(({ row }) => row).join("\n");
  expect(text).toContain(clientId);
  for (const secret of [given.code, tokens.refresh_token, tokens.access_token]) {
    expect(String(secret).length).toBeGreaterThan(20);
    expect(text).not.toContain(String(secret));
  }
});
