import { randomBytes } from "node:crypto";
import type { TestDatabase } from "../../support/database.ts";
import { signInAs } from "../../support/oauth-browser.ts";
import { ClientProgram, newClient, openTransport } from "../../support/oauth-client.ts";
import { acmeOf, calling, type Target, tokenOf } from "./credentials-traffic.ts";
import { INTROSPECTION_CLIENT } from "./issuers.ts";

/** Tenants of whom the instance has not heard before somebody asks for them. V8 keeps a part of a text as such from 13 letters. */
export const LONG_NAMES = ["a-tenant-with-a-long-name", "another-tenant-with-a-long-name"] as const;

/** What is set up first: acme's issuers, what acme allows, and tenants that nobody uses. */
export async function setUp(at: Target): Promise<void> {
  const { recorder, idp, endpoint } = at;
  recorder.secret("the operator token", at.operatorToken);
  recorder.secret("the client secret", INTROSPECTION_CLIENT.secret);
  recorder.secret("a part of the client secret", INTROSPECTION_CLIENT.secret.slice(0, 32));
  idp.publish(at.key.published);
  const jwksUri = `${idp.origin}/jwks`;
  await admin(at, 200, "PATCH", "/tenants/acme", { apiKeys: true, dpop: "allow" });
  await admin(at, 201, "POST", "/tenants/acme/issuers", { issuer: idp.origin, jwksUri, tenantClaim: null });
  await admin(at, 201, "POST", "/tenants/acme/issuers", {
    issuer: `${idp.origin}/away`,
    jwksUri: "http://127.0.0.1:1/jwks",
    tenantClaim: null,
  });
  await admin(at, 201, "POST", "/tenants/acme/issuers", {
    issuer: endpoint.origin,
    tenantClaim: null,
    introspection: introspectionAt(at),
  });
  for (const slug of LONG_NAMES) {
    await admin(at, 201, "POST", "/tenants", { slug, name: slug, plan: "enterprise" });
  }
}

const introspectionAt = ({ endpoint }: Target) => ({
  endpoint: endpoint.endpoint,
  clientId: INTROSPECTION_CLIENT.id,
  clientSecret: INTROSPECTION_CLIENT.secret,
});

function admin(
  at: Target,
  expected: number,
  method: string,
  path: string,
  body?: unknown,
  { token = at.operatorToken, givesOut = false } = {},
) {
  return at.recorder.send(
    expected,
    `${at.url}/admin/v1${path}`,
    {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    },
    { givesOut },
  );
}

/** The admin API as the operator, as an administrator of a tenant, and as neither. */
export async function administer(at: Target): Promise<void> {
  const { recorder } = at;
  const wrong = recorder.secret("a wrong operator token", randomBytes(32).toString("base64url"));
  await admin(at, 401, "GET", "/tenants", undefined, { token: wrong });
  await admin(at, 401, "POST", "/tenants/acme/keys", {}, { token: wrong });
  for (const path of ["/tenants", "/tenants/acme/issuers", "/tenants/acme/keys", "/openapi.json"]) {
    await admin(at, 200, "GET", path);
  }
  const administrator = tokenOf(at, "a tenant administrator's token", { claims: { scope: "admin" } });
  const asTenant = { token: administrator };
  await admin(at, 200, "GET", "/tenants/acme", undefined, asTenant);
  await admin(at, 200, "GET", "/tenants/acme/issuers", undefined, asTenant);
  await admin(at, 404, "GET", "/tenants/globex", undefined, asTenant);
  await admin(at, 403, "GET", "/brokers", undefined, asTenant);
  await admin(at, 200, "GET", `/tenants/acme?access_token=${administrator}`);
  const expired = tokenOf(at, "an administrator's expired token", { claims: { iat: 1, exp: 2 } });
  await admin(at, 401, "GET", "/tenants/acme", undefined, { token: expired });
  const member = tokenOf(at, "a token without the permission");
  await admin(at, 403, "GET", "/tenants/acme", undefined, { token: member });
  await admin(at, 201, "POST", "/tenants/acme/revocations", { issuer: at.idp.origin, jti: "j1" }, asTenant);

  // Bodies that are refused, with the client's secret in them.
  const introspection = introspectionAt(at);
  const issuer = `${at.endpoint.origin}/second`;
  for (const body of [
    { issuer, tenantClaim: null, introspection: { ...introspection, clientId: "" } },
    { issuer, tenantClaim: null, introspection: { ...introspection, more: INTROSPECTION_CLIENT.secret } },
    { issuer, tenantClaim: null, introspection: INTROSPECTION_CLIENT.secret },
    {
      issuer,
      tenantClaim: null,
      introspection: { ...introspection, clientSecret: `${INTROSPECTION_CLIENT.secret}\n` },
    },
    { issuer, profile: INTROSPECTION_CLIENT.secret, introspection },
    { issuer: `${issuer}?${INTROSPECTION_CLIENT.secret}`, introspection },
    `{"issuer": "${issuer}", "introspection": {"clientSecret": "${INTROSPECTION_CLIENT.secret}", }`,
    `{"clientSecret": ${INTROSPECTION_CLIENT.secret}}`,
  ]) {
    await admin(at, 400, "POST", "/tenants/acme/issuers", body);
  }
  // An issuer whose metadata is none: why is told.
  await admin(at, 400, "POST", "/tenants/acme/issuers", { issuer, tenantClaim: null }, asTenant);
  await admin(at, 400, "POST", "/tenants/acme/issuers", { issuer, tenantClaim: null });
}

/** Tokens of the development authorization server, by the short way and by that of a client. */
export async function useDevelopmentIssuers(at: Target): Promise<void> {
  const { recorder } = at;
  const acme = acmeOf(at);
  for (const body of [
    { tenant: "acme" },
    { tenant: "acme", user: "vic" },
    { tenant: "acme", shared: true },
  ]) {
    const made = await admin(at, 201, "POST", "/development/tokens", body, { givesOut: true });
    const token = recorder.jws("a development token", String(made.json.token));
    await recorder.send(200, body.shared === true ? `${at.url}/mcp` : acme, calling(token, "tell"));
  }
  await admin(at, 400, "POST", "/development/tokens", { tenant: "acme", user: "nobody" });

  const program = new ClientProgram();
  const first = openTransport(acme, program);
  await newClient()
    .connect(first.transport)
    .catch(() => {});
  const { callback } = await signInAs("Ada Marsh", program.sentTo[0]?.href ?? "");
  recorder.secret("an authorization code", callback.searchParams.get("code") ?? "");
  recorder.secret("a code verifier", program.codeVerifier());
  await first.transport.finishAuth(callback.searchParams);
  recorder.jws("a client's access token", program.stored?.access_token ?? "");
  const refresh = recorder.secret("a refresh token", program.stored?.refresh_token ?? "");
  const client = newClient();
  await client.connect(openTransport(acme, program).transport);
  await client.callTool({ name: "tell", arguments: {} });
  await client.close();

  const token = `${at.url}/issuers/acme/token`;
  const renew = (clientId: string) => ({
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({
      grant_type: "refresh_token",
      refresh_token: refresh,
      client_id: clientId,
      resource: acme,
    }).toString(),
  });
  const renewed = await recorder.send(200, token, renew(program.client?.client_id ?? ""), { givesOut: true });
  recorder.jws("a renewed access token", String(renewed.json.access_token));
  recorder.secret("a rotated refresh token", String(renewed.json.refresh_token));
  // Used once before.
  await recorder.send(400, token, renew(program.client?.client_id ?? ""));
}

/** Handlers and a database that fail while a credential is in use. */
export async function failEverywhere(at: Target, database: TestDatabase): Promise<void> {
  const { recorder } = at;
  const acme = acmeOf(at);
  const token = tokenOf(at, "a token in use while all fails");
  for (const how of ["error", "object", "cause", "rejection"]) {
    await recorder.send(200, acme, calling(token, "fail", { how }));
  }
  for (const how of ["syntax", "value"]) await recorder.send(200, acme, calling(token, "query", { how }));

  const slept = recorder.send(503, acme, calling(token, "query", { how: "sleep" }));
  const ended = async (): Promise<boolean> =>
    (
      await database.admin(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active' AND query LIKE 'SELECT pg_sleep(60)%'`,
      )
    ).length > 0;
  while (!(await ended())) await new Promise((resolve) => setTimeout(resolve, 20));
  await slept;

  const without = async (table: string, work: () => Promise<unknown>): Promise<void> => {
    await database.admin(`ALTER TABLE bulkhead.${table} RENAME TO ${table}_away`);
    try {
      await work();
    } finally {
      await database.admin(`ALTER TABLE bulkhead.${table}_away RENAME TO ${table}`);
    }
  };
  await without("audit_entries", () => recorder.send(503, acme, calling(token, "tell")));
  await without("api_keys", () =>
    admin(at, 500, "POST", "/tenants/acme/keys", { name: "machine", permissions: ["tickets:read"] }),
  );
  await without("issuers", () =>
    admin(at, 500, "POST", "/tenants/acme/issuers", {
      issuer: `${at.endpoint.origin}/third`,
      tenantClaim: null,
      introspection: introspectionAt(at),
    }),
  );
  await without("development_keys", () => admin(at, 500, "POST", "/development/tokens", { tenant: "acme" }));
}
