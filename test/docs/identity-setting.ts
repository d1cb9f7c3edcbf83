import { generateKeyPairSync } from "node:crypto";
import type { IssuerProfile } from "../../src/identity/issuer-profiles.ts";
import { createFakeClock } from "../identity/fake-clock.ts";
import { type FakeIssuer, startFakeIssuer } from "../identity/fake-issuer.ts";
import { RESOURCE, type Shape } from "../identity/provider-tokens.ts";
import { es256, jwkOf, type Members, makeJws, rs256 } from "../support/hand-made-jws.ts";
import { OPERATOR_TOKEN, startTestServer, type TestServer } from "../support/running-server.ts";
import { openShell, type Shell, type ShellRun } from "./shell.ts";

/** What stands on the pages for the server of whoever reads them. */
export const PAGE_SERVER = new URL(RESOURCE).origin;
export const MASTER_KEY = Buffer.alloc(32, 7).toString("base64url");

/** A running server, a shell whose commands go to it, and the keys of whichever provider a page speaks of. */
export interface IdentityDocsSetting {
  readonly server: TestServer;
  /** Runs a script of a page as it stands, but for the addresses of the server and of the provider's keys. */
  run(script: string, env?: Readonly<Record<string, string>>): Promise<ShellRun>;
  /** A text of a page, for this server. */
  here(text: string): string;
  /** Of the provider, who is not there. */
  readonly jwksUri: string;
  /** A token in a provider's shape, for this server and of this moment. */
  token(profile: IssuerProfile, shape: Shape, changes?: Members): string;
  /** The tokens made so far. */
  sent(): readonly string[];
  /** Causes of refusals so far. */
  causes(): string[];
  close(): Promise<void>;
}

export async function startIdentityDocsSetting(): Promise<IdentityDocsSetting> {
  const keys = {
    RS256: generateKeyPairSync("rsa", { modulusLength: 2048 }),
    ES256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
  };
  const provider: FakeIssuer = await startFakeIssuer();
  provider.publish(
    ...Object.entries(keys).map(([alg, { publicKey }]) => jwkOf(publicKey, { kid: alg, alg, use: "sig" })),
  );
  const server = await startTestServer({ settings: { logLevel: "debug", masterKey: MASTER_KEY } });
  const shell: Shell = await openShell();
  const sent: string[] = [];
  const jwksUri = `${provider.origin}/jwks`;
  const here = (text: string): string => text.replaceAll(PAGE_SERVER, server.url);
  return {
    server,
    jwksUri,
    here,
    run: (script, env = {}) =>
      shell.run(withKeys(here(script), jwksUri), {
        BULKHEAD_URL: server.url,
        BULKHEAD_OPERATOR_TOKEN: OPERATOR_TOKEN,
        ...env,
      }),
    token(profile, { header, payload }, changes = {}) {
      const alg = profile === "generic" ? "ES256" : "RS256";
      const sign = (alg === "ES256" ? es256 : rs256)(keys[alg].privateKey);
      // The provider's tokens are of the time at which a clock of the tests stands.
      const later = Math.floor(Date.now() / 1000) - createFakeClock().now() / 1000;
      const claims = JSON.parse(here(JSON.stringify(payload)), (name, value: unknown) =>
        ["iat", "exp", "nbf", "auth_time"].includes(name) && typeof value === "number"
          ? value + later
          : value,
      ) as Members;
      const token = makeJws({ header: { alg, kid: alg, ...header }, claims, sign }, { claims: changes });
      sent.push(token);
      return token;
    },
    sent: () => sent,
    causes: () =>
      server.instances[0]
        .log()
        .filter((line) => line.event === "refusal")
        .map((line) => String(line.cause)),
    async close() {
      await shell.close();
      await server.close();
      await provider.close();
    },
  };
}

/**
 * Says where the keys are in each command that registers an issuer: the providers of the pages are not there to be asked.
 * A broker is registered once; what follows maps tenants to it.
 */
function withKeys(script: string, jwksUri: string): string {
  const registered = new Set<string>();
  return script.replaceAll(/bulkhead issuers add (\S+)/g, (command, issuer: string) => {
    if (registered.has(issuer)) return command;
    registered.add(issuer);
    return `${command} --jwks-uri ${jwksUri}`;
  });
}
