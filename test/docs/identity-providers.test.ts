import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createAccessPolicy } from "../../src/identity/access-policy.ts";
import { ISSUER_PROFILES, type IssuerProfile } from "../../src/identity/issuer-profiles.ts";
import { type IdentityServer, startIdentityServer } from "../admin/identity-server.ts";
import { PROVIDERS, RESOURCE } from "../identity/provider-tokens.ts";
import { mcp } from "../support/mcp-request.ts";
import { type IdentityDocsSetting, startIdentityDocsSetting } from "./identity-setting.ts";
import { type Block, blocksOf, codesIn, readPage, tableOf } from "./page.ts";

const PROFILES = Object.keys(ISSUER_PROFILES) as IssuerProfile[];

/** What a request of a page is: a body, and where it is posted. */
interface Request {
  readonly method: string;
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** A section that says how to register an issuer, by command and by the admin API. */
interface Section {
  readonly profile: IssuerProfile;
  readonly name: string;
  readonly command: string;
  readonly requests: readonly Request[];
}

let at: IdentityDocsSetting;
const blocks = new Map<IssuerProfile, Block[]>();
const sections: Section[] = [];
for (const profile of PROFILES) {
  const found = blocksOf(await readPage(`docs/identity/${profile}.md`));
  blocks.set(profile, found);
  for (const name of new Set(found.map((block) => block.section).filter((one) => /^Register/.test(one)))) {
    const of = found.filter((block) => block.section === name);
    const [command] = of.filter((block) => block.language === "sh").map((block) => block.text);
    const requests = of.flatMap(requestOf);
    sections.push({ profile, name, command: command ?? "", requests });
  }
}

function requestOf({ language, text, before }: Block): Request[] {
  const [, method = "", path = ""] = /`(POST|PATCH) \/admin\/v1(\/\S+)`/.exec(before) ?? [];
  if (language !== "json" || method === "") return [];
  return [{ method, path, body: JSON.parse(text) as Request["body"] }];
}

beforeAll(async () => {
  at = await startIdentityDocsSetting();
});
afterAll(() => at.close());

type Registered = Readonly<Record<string, unknown>>;
const listed = async (path: string): Promise<Registered[]> =>
  ((await at.server.admin("GET", path)).json.items as Registered[]).filter(
    (one) => one.development === false,
  );

/** The issuers that the reader has registered. */
async function registered(): Promise<Registered[]> {
  return [...(await listed("/tenants/acme/issuers")), ...(await listed("/brokers"))];
}

const withoutIdentity = (issuers: readonly Registered[]): unknown[] =>
  issuers.map(({ id, createdAt, ...rest }) => rest);

async function removeAll(): Promise<void> {
  for (const { id } of await listed("/tenants/acme/issuers"))
    await at.server.admin("DELETE", `/tenants/acme/issuers/${id}`);
  for (const { id } of await listed("/brokers")) await at.server.admin("DELETE", `/brokers/${id}`);
}
afterEach(removeAll);

const statusOf = async (url: string, token: string): Promise<number> =>
  (await mcp(url, token, "tools/list")).status;

test("there is a page for each profile, which has its tokens' issuer and says how to register it", () => {
  expect([...new Set(sections.map((section) => section.profile))].sort()).toEqual([...PROFILES].sort());
  for (const { profile, command, requests } of sections) {
    expect(command).toContain(`bulkhead issuers add ${PROVIDERS[profile].issuer} `);
    expect(requests.length).toBeGreaterThan(0);
  }
});

describe.each(sections.map((section) => [section.profile, section.name, section] as const))(
  "%s: %s",
  (profile, _name, { command, requests }) => {
    const { accepted, refused } = PROVIDERS[profile];

    test("the command and the admin API make the same registration", async () => {
      expect(await at.run(command)).toMatchObject({ status: 0, err: "" });
      const byCommand = withoutIdentity(await registered());
      expect(byCommand.length).toBeGreaterThan(0);
      await removeAll();
      for (const { method, path, body } of requests) {
        const isMapping = path.startsWith("/tenants/") && requests.length > 1;
        const sent = isMapping ? body : { ...body, jwksUri: at.jwksUri };
        expect(await at.server.admin(method, path, sent)).toMatchObject({ status: 201 });
      }
      expect(withoutIdentity(await registered())).toEqual(byCommand);
    });

    test("the provider's tokens then get in here, and nowhere else", async () => {
      expect(await at.run(command)).toMatchObject({ status: 0 });
      const isBroker = command.includes("--broker");
      for (const [name, shape] of Object.entries(accepted)) {
        const token = at.token(profile, shape);
        expect([name, await statusOf(at.server.acme.mcp, token)]).toEqual([name, 200]);
        expect([name, await statusOf(at.server.globex.mcp, token)]).toEqual([name, 401]);
        expect([name, await statusOf(at.server.shared, token)]).toEqual([name, 401]);
        const forAll = at.token(profile, shape, { aud: at.server.shared });
        expect([name, await statusOf(at.server.shared, forAll)]).toEqual([name, isBroker ? 200 : 401]);
      }
      for (const [name, shape] of Object.entries(refused)) {
        expect([name, await statusOf(at.server.acme.mcp, at.token(profile, shape))]).toEqual([name, 401]);
      }
    });
  },
);

test("the other registrations of the pages are accepted as well, and so are the tokens", async () => {
  const others = PROFILES.flatMap((profile) =>
    (blocks.get(profile) ?? [])
      .filter(({ text, section }) => text.startsWith("bulkhead issuers add") && !/^Register/.test(section))
      .map(({ text }) => [profile, text] as const),
  );
  expect(others.map(([profile]) => profile)).toEqual(["generic", "auth0", "keycloak"]);
  for (const [profile, command] of others) {
    expect(await at.run(command)).toMatchObject({ status: 0, err: "" });
    const [shape] = Object.values(PROVIDERS[profile].accepted);
    if (shape === undefined) throw new TypeError(`There is no token of ${profile}.`);
    // The generic page's example is of tokens that are as different as can be.
    const { aud, tenant_id, ...claims } = shape.payload;
    const token =
      profile === "generic"
        ? at.token(profile, {
            header: { typ: "JWT" },
            payload: { ...claims, aud: "api://tickets", company: "acme", realm: { groups: ["agent"] } },
          })
        : at.token(profile, shape);
    expect([profile, await statusOf(at.server.acme.mcp, token)]).toEqual([profile, 200]);
    await removeAll();
  }
});

test("the changes of the tenant that the pages ask for are accepted", async () => {
  const changes = PROFILES.flatMap((profile) => (blocks.get(profile) ?? []).flatMap(requestOf)).filter(
    ({ method }) => method === "PATCH",
  );
  expect(changes).toHaveLength(2);
  for (const { path, body } of changes) {
    expect(await at.server.admin("PATCH", path, body)).toMatchObject({ status: 200, json: body });
  }
  await at.server.admin("PATCH", "/tenants/acme", { scopes: [], roles: {} });
});

test("Cognito's scopes grant permissions by the hierarchy of the page", async () => {
  const [block] = (blocks.get("cognito") ?? []).filter(({ language }) => language === "ts");
  const directory = await mkdtemp(join(tmpdir(), "bulkhead-docs-"));
  try {
    const file = join(directory, "permissions.mjs");
    await writeFile(file, `export default { ${block?.text} };`);
    const { default: definition } = (await import(file)) as {
      default: { permissions: { implies: Record<string, string[]> } };
    };
    const policy = createAccessPolicy(definition.permissions.implies, ["tickets:read", "tickets:write"]);
    const [token] = Object.values(PROVIDERS.cognito.accepted);
    const granted = new Set(token?.permissions);
    expect(granted).toContain(`${RESOURCE}/tickets.read`);
    expect(policy.decide(granted, "tickets:read")).toMatchObject({
      allowed: true,
      reason: "implied",
      by: `${RESOURCE}/tickets.read`,
    });
    expect(policy.decide(granted, "tickets:write").allowed).toBe(false);
    expect(policy.decide(new Set([`${RESOURCE}x/tickets.read`]), "tickets:read").allowed).toBe(false);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test("why those tokens were refused is in the log as the table of causes says, and no token is", async () => {
  const table = tableOf(await readPage("docs/identity/README.md"), "cause").map(([cause]) =>
    codesIn(cause ?? ""),
  );
  const causes = [...new Set(at.causes())];
  expect(causes.length).toBeGreaterThan(6);
  expect(causes.filter((cause) => !table.flat().includes(cause))).toEqual([]);
  const log = JSON.stringify(at.server.instances[0].log());
  expect(at.sent().length).toBeGreaterThan(50);
  for (const token of at.sent()) for (const part of token.split(".")) expect(log).not.toContain(part);
});

describe("where the provider can be asked", () => {
  let admin: IdentityServer;
  beforeAll(async () => {
    admin = await startIdentityServer();
  });
  afterAll(() => admin.stop());

  test("every request of the pages is accepted to the letter, and finds the keys", async () => {
    for (const { profile, requests } of sections) {
      const { issuer } = PROVIDERS[profile];
      const jwksUri = `${new URL(issuer).origin}/keys`;
      admin.metadata.set(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`, {
        issuer,
        jwks_uri: jwksUri,
      });
      const made: string[] = [];
      for (const { path, body } of requests) {
        const answer = await admin.call("POST", path, { body });
        expect(answer).toMatchObject({ status: 201, body: { issuer, jwksUri } });
        made.unshift(`${path}/${String(answer.body.id)}`);
      }
      for (const path of made) expect((await admin.call("DELETE", path)).status).toBe(200);
    }
  });
});
