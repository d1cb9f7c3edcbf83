import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../../src/cli/free-port.ts";
import { startFakeIssuer } from "../identity/fake-issuer.ts";
import { makeSigningKey } from "../support/access-token.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { listen } from "../support/open-stream.ts";
import { formsOf, secretsIn } from "../support/secret-search.ts";
import {
  administer,
  failEverywhere,
  LONG_NAMES,
  setUp,
  useDevelopmentIssuers,
} from "./leaks/administration-traffic.ts";
import { acmeOf, calling, sendCredentials, type Target, tokenOf } from "./leaks/credentials-traffic.ts";
import { type IndiscreetProcess, startIndiscreetProcess } from "./leaks/indiscreet-process.ts";
import { startTalkativeEndpoint } from "./leaks/issuers.ts";
import { createRecorder } from "./leaks/recorder.ts";

/** Everything that the server wrote or left somewhere, by place. */
const sinks = new Map<string, string | Buffer>();
/** What was put there on purpose, so that a place that is not really looked into is noticed. */
const canaries = new Map<string, string>();
const CANARY = `canary-${randomBytes(24).toString("base64url")}`;
/** Of the process, so that it is in its report. */
const ARGUMENT = `argument-${randomBytes(24).toString("base64url")}`;
const recorder = createRecorder();

let database: TestDatabase;
let server: IndiscreetProcess;
const closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  database = await createTestDatabase("helpdesk");
  closing.push(() => database.drop());
  const [idp, endpoint] = await Promise.all([startFakeIssuer(), startTalkativeEndpoint()]);
  closing.push(
    () => idp.close(),
    () => endpoint.close(),
  );
  const masterKey = recorder.secret("the master key", randomBytes(32).toString("base64url"));
  server = await startIndiscreetProcess(database, {
    port: await freePort(0),
    operatorToken: randomBytes(36).toString("base64url"),
    masterKey,
    argument: ARGUMENT,
  });
  closing.push(() => server.close());
  const { url, operatorToken } = server;
  const at: Target = { recorder, url, operatorToken, idp, endpoint, key: makeSigningKey("k1") };
  await setUp(at);
  await useDevelopmentIssuers(at);
  await administer(at);
  await failEverywhere(at, database);
  await listenAndLoseIt(at);
  // Last, and after all changes: what the server remembers of them it has when it is looked into.
  await sendCredentials(at);
  await askFirstWithTokenInQuery(at);
  await recorder.send(200, acmeOf(at), calling(tokenOf(at, "the last token"), "spread", { what: CANARY }));

  const metrics = await recorder.send(200, `${url}/metrics`, { method: "GET" });
  const { report, heap } = await server.dump();
  await server.stop();

  const [acme] = await database.admin<{ id: string }>("SELECT id FROM bulkhead.tenants WHERE slug = 'acme'");
  const put = (name: string, text: string | Buffer, canary = CANARY): void => {
    sinks.set(name, text);
    canaries.set(name, canary);
  };
  put("standard output", server.stdout());
  put("standard error", server.stderr());
  put("the audit trail", await textOf(["bulkhead.audit_entries"]));
  put("the other tables", await textOf(await otherTables()));
  put("metrics", metrics.text, acme?.id);
  put("answers", recorder.answers.join("\n"));
  put("the diagnostic report", report, ARGUMENT);
  put("the heap", heap);
}, 240_000);
afterAll(async () => {
  for (const close of closing.reverse()) await close();
});

/** A stream that its token's revocation ends. */
async function listenAndLoseIt(at: Target): Promise<void> {
  const token = tokenOf(at, "the token of a stream", { claims: { jti: "lost" } });
  const stream = await listen(acmeOf(at), token, { toolsListChanged: true });
  await recorder.send(201, `${at.url}/admin/v1/tenants/acme/revocations`, {
    headers: { authorization: `Bearer ${at.operatorToken}`, "content-type": "application/json" },
    body: JSON.stringify({ issuer: at.idp.origin, jti: "lost" }),
  });
  await stream.closed;
}

/** What makes a tenant known to this instance is a request with a token in its URL. */
async function askFirstWithTokenInQuery(at: Target): Promise<void> {
  const [first, second] = LONG_NAMES;
  const query = (name: string): string => `?access_token=${tokenOf(at, name)}`;
  const endpoint = `${at.url}/t/${first}/mcp${query("a token in the first URL of a tenant")}`;
  await recorder.send(400, endpoint, calling(null, "tell"));
  const metadata = `${at.url}/.well-known/oauth-protected-resource/t/${second}/mcp`;
  await recorder.send(200, metadata + query("a token in the first URL of a tenant's metadata"), {
    method: "GET",
  });
  const nobody = `${at.url}/t/a-name-that-no-tenant-has/mcp`;
  await recorder.send(404, nobody + query("a token in the URL of no tenant"), calling(null, "tell"));
}

/** All tables of Bulkhead and of the help desk: none may hold a token in clear, so none is left out. */
async function otherTables(): Promise<string[]> {
  const rows = await database.admin<{ name: string }>(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
      WHERE schemaname IN ('bulkhead', 'app') AND tablename <> 'audit_entries' ORDER BY 1`,
  );
  expect(rows.map(({ name }) => name)).toEqual(
    expect.arrayContaining([
      "bulkhead.api_keys",
      "bulkhead.development_storage",
      "bulkhead.issuers",
      "bulkhead.used_proofs",
      "bulkhead.store_entries",
    ]),
  );
  return rows.map(({ name }) => name);
}

async function textOf(tables: readonly string[]): Promise<string> {
  const texts: string[] = [];
  for (const table of tables) {
    const rows = await database.admin<{ text: string }>(`SELECT to_json(t)::text AS text FROM ${table} AS t`);
    texts.push(table, ...rows.map(({ text }) => text));
  }
  return texts.join("\n");
}

const SINKS = [
  "standard output",
  "standard error",
  "the audit trail",
  "the other tables",
  "metrics",
  "answers",
  "the diagnostic report",
  "the heap",
] as const;

test("credentials of every kind were used", () => {
  expect(recorder.secrets.size).toBeGreaterThan(90);
  expect([...sinks.keys()]).toEqual([...SINKS]);
});

test.each([
  "credentials_malformed",
  "token_invalid",
  "dpop_proof_invalid",
  "keys_unavailable",
  "introspection_unavailable",
  "operator_token_required",
  "handler_failed",
  "database_unavailable",
  "audit_unavailable",
  "internal",
])("the log tells of %s", (code) => {
  expect(String(sinks.get("standard error"))).toContain(`"code":"${code}"`);
});

describe.each(SINKS)("in %s", (name) => {
  const text = (): string | Buffer => sinks.get(name) ?? "";

  test("no credential is found", () => {
    expect(secretsIn(text(), recorder.secrets)).toEqual([]);
  });

  test("what was put there is found, so a credential would be", () => {
    expect(secretsIn(text(), new Map([["the canary", canaries.get(name) ?? ""]]))).not.toEqual([]);
  });
});

test.each([
  ["as it is", (secret: string) => secret],
  ["in hex", (secret: string) => Buffer.from(secret).toString("hex")],
  ["in base64, after a name", (secret: string) => Buffer.from(`user:${secret}!`).toString("base64")],
  ["in base64url, alone", (secret: string) => Buffer.from(secret).toString("base64url")],
  ["in a URL", (secret: string) => `?a=${encodeURIComponent(secret)}&b=c`],
  ["in JSON within JSON", (secret: string) => JSON.stringify({ a: JSON.stringify({ b: secret }) })],
  [
    "as the bytes that it stands for, in hex",
    (secret: string) => Buffer.from(secret, "base64url").toString("hex"),
  ],
] as const)("the search finds a secret %s", (_how, write) => {
  const secret = randomBytes(32).toString("base64url");
  expect(formsOf(secret).size).toBeGreaterThan(6);
  const found = (text: string) => secretsIn(`before ${text} after`, new Map([["it", secret]]));
  expect(found(write(secret))).not.toEqual([]);
  expect(found(write(randomBytes(32).toString("base64url")))).toEqual([]);
});
