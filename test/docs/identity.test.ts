import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { ISSUER_PROFILES, type IssuerDefaults } from "../../src/identity/issuer-profiles.ts";
import { PROVIDERS } from "../identity/provider-tokens.ts";
import { mcp } from "../support/mcp-request.ts";
import {
  type IdentityDocsSetting,
  MASTER_KEY,
  PAGE_SERVER,
  startIdentityDocsSetting,
} from "./identity-setting.ts";
import { type Block, blocksOf, codesIn, linksIn, ROOT, readPage, tableOf } from "./page.ts";
import type { ShellRun } from "./shell.ts";

const PAGES = (await readdir(join(ROOT, "docs/identity"))).map((name) => `docs/identity/${name}`);
const page = await readPage("docs/identity/README.md");
const blocks = blocksOf(page);

/** The tenant of the walk-through: acme is there already. */
const TENANT = "initech";
const asNew = (text: string): string => text.replaceAll(/\bacme\b/g, TENANT);

let at: IdentityDocsSetting;
beforeAll(async () => {
  at = await startIdentityDocsSetting();
});
afterAll(() => at.close());

/** The shell blocks of a section. */
function scripts(section: string): string[] {
  const found = blocks.filter((block) => block.language === "sh" && block.section === section);
  expect(found.length).toBeGreaterThan(0);
  return found.map((block) => asNew(block.text));
}

async function succeed(script: string | undefined, env: Record<string, string> = {}): Promise<ShellRun> {
  const run = await at.run(script ?? "exit 9", env);
  expect(run).toMatchObject({ status: 0, err: "" });
  return run;
}

const mcpUrl = (): string => `${at.server.url}/t/${TENANT}/mcp`;
const tokenFor = (changes: Record<string, unknown> = {}): string => {
  const [shape] = Object.values(PROVIDERS.generic.accepted);
  if (shape === undefined) throw new TypeError("There is no token.");
  return at.token("generic", shape, { iss: `https://login.${TENANT}.example`, aud: mcpUrl(), ...changes });
};
const statusOf = async (token: string, url = mcpUrl()): Promise<number> =>
  (await mcp(url, token, "tools/list")).status;

describe("the way of the page, from nothing to the end of a token", { sequential: true }, () => {
  test("a tenant, its issuer, the metadata, the first call", async () => {
    const [create, register, metadata, look, call] = scripts("From nothing to the first call");
    expect(JSON.parse((await succeed(create)).out)).toMatchObject({ slug: TENANT, mcp: mcpUrl() });
    const document = `/.well-known/oauth-protected-resource/t/${TENANT}/mcp`;
    expect((await fetch(at.server.url + document)).status).toBe(200);
    for (const { id } of await issuersOf(TENANT))
      await at.server.admin("DELETE", `/tenants/${TENANT}/issuers/${id}`);
    expect((await fetch(at.server.url + document)).status).toBe(404);
    await succeed(register);
    expect(JSON.parse((await succeed(metadata)).out)).toMatchObject({
      resource: mcpUrl(),
      authorization_servers: [`https://login.${TENANT}.example`],
    });
    const TOKEN = tokenFor();
    expect((await succeed(look, { TOKEN })).out).toContain(`"aud":"${mcpUrl()}"`);
    expect((await succeed(call, { TOKEN })).out).toContain('"name":"get_ticket"');
  });

  test("keys are turned on, made, and shown once", async () => {
    const [script] = scripts("API keys");
    const { out } = await succeed(script);
    const key = /\bbk_\S+/.exec(out)?.[0] ?? "";
    expect(await statusOf(key)).toBe(200);
    expect(await statusOf(key, at.server.shared)).toBe(200);
    await succeed(`bulkhead keys disable --tenant ${TENANT}`);
    expect(await statusOf(key)).toBe(401);
  });

  test("DPoP is allowed", async () => {
    const [script] = scripts("DPoP");
    expect(JSON.parse((await succeed(script)).out)).toMatchObject({ slug: TENANT, dpop: "allow" });
  });

  test("an issuer of opaque tokens is registered", async () => {
    const [register, makeKey] = scripts("Opaque tokens: introspection");
    expect((await succeed(register)).out).toContain(`https://opaque.${TENANT}.example`);
    const { out } = await succeed(makeKey);
    expect(Buffer.from(out.trim(), "base64url")).toHaveLength(32);
    expect(out.trim()).toHaveLength(MASTER_KEY.length);
  });

  test("an administrator of the tenant uses the admin API, and nobody else does", async () => {
    const [script] = scripts("Tenants' administrators");
    const run = await succeed(script, { TOKEN: tokenFor({ scope: "admin" }) });
    expect(run.out).toContain(`https://login.${TENANT}.example`);
    expect(await at.run(script ?? "", { TOKEN: tokenFor() })).toMatchObject({ status: 1 });
  });

  test("every kind of revocation does what the page says", async () => {
    const revoke = (scripts("Revocation")[0] ?? "").trim().split("\n");
    expect(revoke).toHaveLength(5);
    const [stdin, jti, subject, signingKey, all] = revoke;
    const TOKEN = tokenFor({ jti: "one" });
    const named = tokenFor({ jti: "01J9" });
    const other = tokenFor({ jti: "other" });
    await succeed(stdin, { TOKEN });
    expect(await statusOf(TOKEN)).toBe(401);
    expect(await statusOf(named)).toBe(200);
    await succeed(jti);
    expect(await statusOf(named)).toBe(401);
    await succeed(subject);
    expect(await statusOf(other)).toBe(401);
    // The key of the page is another one than that which signs here.
    const grace = tokenFor({ sub: "grace", jti: "grace" });
    await succeed(signingKey);
    expect(await statusOf(grace)).toBe(200);
    await succeed(signingKey?.replace("2026-01", "ES256"));
    expect(await statusOf(grace)).toBe(401);
    await succeed(all);
    const { json } = await at.server.admin("GET", `/tenants/${TENANT}/revocations`);
    const kept = (json.items as { kind: string; expiresAt: string | null }[]).map(({ kind, expiresAt }) => [
      kind,
      expiresAt !== null,
    ]);
    expect(kept).toEqual([
      ["token", true],
      ["token", true],
      ["subject", true],
      ["signing_key", false],
      ["signing_key", false],
      ["tenant", false],
    ]);
  });
});

test("a broker is declared, and a tenant mapped to it", async () => {
  const [script] = blocks.filter(({ language, section }) => language === "sh" && section === "Brokers");
  await succeed(script?.text);
  const { json } = await at.server.admin("GET", "/tenants/acme/issuers");
  expect(json.items).toContainEqual(
    expect.objectContaining({ issuer: "https://login.example.com", broker: true, tenantValue: "org-acme" }),
  );
});

async function issuersOf(tenant: string): Promise<readonly { id: string }[]> {
  const { json } = await at.server.admin("GET", `/tenants/${tenant}/issuers`);
  return json.items as { id: string }[];
}

// ---- tables --------------------------------------------------------------------------------------------------------

test("the table of fields is what a registration takes, and the options are those of the command", async () => {
  const document = (await (await fetch(`${at.server.url}/admin/v1/openapi.json`)).json()) as {
    components: { schemas: { NewIssuer: { properties: object } } };
  };
  const rows = tableOf(page, "field");
  const fields = rows.map(([field = ""]) => codesIn(field)[0] ?? "");
  expect(fields.toSorted()).toEqual(Object.keys(document.components.schemas.NewIssuer.properties).toSorted());
  const help = await at.run("bulkhead issuers add --help");
  const options = rows.flatMap(([, option = ""]) => codesIn(option));
  const taken = [...help.out.matchAll(/^ {2}(--[a-z-]+)/gm)].map(([, name]) => name ?? "");
  expect(options.toSorted()).toEqual(
    taken
      .filter((name) => !["--url", "--data-dir", "--json", "--tenant", "--broker"].includes(name))
      .toSorted(),
  );
});

test("the table of profiles is the profiles", () => {
  const rows = tableOf(page, "profile");
  expect(rows.map(([profile = ""]) => codesIn(profile)[0])).toEqual(Object.keys(ISSUER_PROFILES));
  for (const [name = "", ...cells] of rows) {
    const [profile = ""] = codesIn(name);
    const of: (issuer: string) => IssuerDefaults = ISSUER_PROFILES[profile as keyof typeof ISSUER_PROFILES];
    const defaults = of("{issuer}");
    const said = cells.map((cell) => (cell.includes("`") ? codesIn(cell) : cell === "" ? [] : [cell]));
    expect([profile, ...said]).toEqual([
      profile,
      [defaults.tenantClaim].filter((claim) => claim !== null),
      [defaults.tenantClaimForm],
      defaults.scopeClaims,
      defaults.rolesClaim ?? [],
      [defaults.tokenType],
      defaults.otherAudiences.map((audience) => audience.replace("}/", "}")),
      defaults.algorithms,
      [String(defaults.maxLifetimeSeconds)],
    ]);
  }
});

test("the causes of the page are those of the code", async () => {
  const directory = join(ROOT, "src/identity");
  const files = (await readdir(directory)).filter((name) => name.endsWith(".ts"));
  const code = (await Promise.all(files.map((name) => readFile(join(directory, name), "utf8")))).join("\n");
  const causes = tableOf(page, "cause").flatMap(([cause = ""]) => codesIn(cause));
  expect(causes.length).toBeGreaterThan(20);
  for (const cause of causes) expect([cause, code.includes(`"${cause}"`)]).toEqual([cause, true]);
});

test("a refusal is in the log as the page shows it", async () => {
  const shown = JSON.parse(
    blocks.find(({ text }) => text.includes('"event": "refusal"'))?.text ?? "",
  ) as object;
  await mcp(at.server.acme.mcp, at.server.acme.sharedToken, "tools/list");
  // Lines are written a moment after the answer.
  await vi.waitFor(() => expect(at.server.instances[0].log()).toContainEqual(expect.objectContaining(shown)));
});

// ---- all pages -----------------------------------------------------------------------------------------------------

test.each(PAGES)(
  "%s: links lead somewhere, JSON is JSON, and the server is always called the same",
  async (path) => {
    const text = await readPage(path);
    for (const link of linksIn(text)) expect((await stat(join(ROOT, path, "..", link))).isFile()).toBe(true);
    for (const [, target = "", anchor = ""] of text.matchAll(/\]\(([^)#\s]*)#([^)]+)\)/g)) {
      const linked = target === "" ? text : await readPage(join(path, "..", target));
      const headings = [...linked.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
        heading
          .toLowerCase()
          .replaceAll(/[^\w\- ]/g, "")
          .replaceAll(" ", "-"),
      );
      expect(headings).toContain(anchor);
    }
    const json = blocksOf(text).filter((block: Block) => block.language === "json");
    for (const block of json) expect(() => JSON.parse(block.text)).not.toThrow();
    expect([...new Set(text.match(/https:\/\/mcp\.[a-z.]+/g))]).toEqual([PAGE_SERVER]);
  },
);
