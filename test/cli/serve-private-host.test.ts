import { generateKeyPairSync } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectionSettings } from "../../src/data/connection-settings.ts";
import { migrate } from "../../src/data/migrate.ts";
import { es256, jwkOf, makeJws } from "../support/hand-made-jws.ts";
import { mcpMessage, send } from "../support/mcp-request.ts";
import { selfSignedCertificate } from "../support/self-signed-certificate.ts";
import { expectFailed, run } from "./admin-commands.ts";
import { createCommandBench, fixture } from "./bulkhead-command.ts";
import { createEmptyDatabase, type EmptyDatabase } from "./empty-database.ts";

const ISSUER = "https://login.acme.example";
const PUBLIC_URL = "https://mcp.example.com";
const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
const bench = createCommandBench();
let database: EmptyDatabase;
/** A provider's key endpoint on this machine, by https. */
let provider: Server;
/** File of the certificate that the server under test is to trust. */
let trusted: string;

beforeAll(async () => {
  const { cert, key } = selfSignedCertificate("localhost");
  const set = JSON.stringify({ keys: [jwkOf(keys.publicKey, { kid: "k1", alg: "ES256", use: "sig" })] });
  provider = createServer({ cert, key }, (_req, res) => res.end(set));
  await new Promise<void>((resolve) => provider.listen(0, "127.0.0.1", resolve));
  trusted = join(await bench.directory(), "provider.pem");
  await writeFile(trusted, cert);
  database = await createEmptyDatabase();
  await migrate(connectionSettings(database.url), { mode: "production" });
  const { port } = provider.address() as AddressInfo;
  // Into the table, since the admin API refuses an address of this machine from the start: a private address that a
  // company's name has cannot be had in a test.
  await database.query(
    `INSERT INTO bulkhead.tenants (id, slug, name, plan) VALUES ('tnt_' || repeat('0', 26), 'acme', 'Acme', 'free');
     INSERT INTO bulkhead.issuers (id, tenant_id, issuer, jwks_uri, algorithms)
     VALUES ('iss_' || repeat('0', 26), 'tnt_' || repeat('0', 26), '${ISSUER}', 'https://localhost:${port}/keys', '{ES256}')`,
  );
});
afterAll(async () => {
  await bench.close();
  await database.drop();
  provider.closeAllConnections();
  await new Promise((resolve) => provider.close(resolve));
});

test.each([
  ["another host that is allowed", "idp.internal", 503],
  ["--allow-private-host of its own", "localhost", 200],
])("a provider's keys at a private address, with %s: %s answers %i", async (_how, host, status) => {
  const command = bench.run(
    ["serve", fixture("tools-of-the-process.ts"), "--port", "0", "--json", "--allow-private-host", host],
    {
      env: {
        DATABASE_URL: database.url,
        BULKHEAD_PUBLIC_URL: PUBLIC_URL,
        NODE_EXTRA_CA_CERTS: trusted,
      },
    },
  );
  const line = (await command.ready()) as unknown as { listening: { port: number } };
  const now = Math.floor(Date.now() / 1_000);
  const token = makeJws({
    header: { alg: "ES256", typ: "at+jwt", kid: "k1" },
    claims: {
      iss: ISSUER,
      sub: "u1",
      aud: `${PUBLIC_URL}/t/acme/mcp`,
      exp: now + 300,
      iat: now,
      jti: "1",
      client_id: "c",
    },
    sign: es256(keys.privateKey),
  });
  const { headers, body } = mcpMessage(token, "tools/list");
  const answer = await send(`http://127.0.0.1:${line.listening.port}/t/acme/mcp`, {
    headers: { ...headers, host: "mcp.example.com" },
    body,
  });
  expect(answer.status).toBe(status);
  if (status === 503) expect(answer.json.error.data.code).toBe("keys_unavailable");
  else expect(answer.json.result.tools.length).toBeGreaterThan(0);
  command.signal("SIGTERM");
  expect(await command.ended).toEqual({ status: 0, signal: null });
});

test("--allow-private-host of what is no host keeps it from serving", async () => {
  const env = { DATABASE_URL: database.url, BULKHEAD_PUBLIC_URL: PUBLIC_URL };
  const args = [
    "serve",
    fixture("tools-of-the-process.ts"),
    "--port",
    "0",
    "--allow-private-host",
    "10.0.0.0/8",
  ];
  expectFailed(await run(bench, args, { env }), "setting_invalid", '"10.0.0.0/8" among the hosts');
});
