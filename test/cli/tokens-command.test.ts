import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type DevServer, expectDone, expectFailed, startDevServer } from "./admin-commands.ts";

let dev: DevServer;
beforeAll(async () => {
  dev = await startDevServer();
});
afterAll(() => dev.close());

/** What a token says. */
function claimsOf(token: string): Record<string, unknown> & { exp: number; iat: number } {
  return JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
}

/** A token, as a script takes it from standard output. */
async function issue(args: string | readonly string[]): Promise<string> {
  const given = typeof args === "string" ? args.split(" ") : args;
  const { stdout } = expectDone(await dev.bulkhead(["tokens", "issue", ...given]));
  expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  return stdout.trim();
}

async function status(token: string, tenant = "acme"): Promise<number> {
  return (await dev.call(dev.mcpUrl(tenant), token, "list_my_customers")).status;
}

describe("tokens issue", () => {
  test("without a user: the tenant's first, for five minutes, and it works", async () => {
    const token = await issue("--tenant acme");
    const claims = claimsOf(token);
    expect(claims).toMatchObject({ sub: "ada", aud: dev.mcpUrl("acme") });
    expect(claims.exp - claims.iat).toBe(300);
    expect(await dev.tools(dev.mcpUrl("acme"), token)).toContain("close_ticket");
    // Of no other tenant.
    expect(await status(token, "globex")).toBe(401);
  });

  test("for a named user: exactly what that user may", async () => {
    const issued = expectDone(
      await dev.bulkhead("tokens issue --tenant acme --user vic --expires-in 1h --json"),
    ).json();
    expect(issued).toMatchObject({
      subject: "vic",
      scopes: ["tickets:read"],
      issuer: `${dev.line.url}/issuers/acme`,
      audience: dev.mcpUrl("acme"),
    });
    const { exp, iat } = claimsOf(issued.token);
    expect(exp - iat).toBe(3_600);
    expect(Date.parse(issued.expiresAt)).toBe(exp * 1_000);
    expect((await dev.tools(dev.mcpUrl("acme"), issued.token)).sort()).toEqual([
      "get_ticket",
      "search_tickets",
    ]);
  });

  test("with scopes: for any subject, and for exactly those", async () => {
    const url = dev.mcpUrl("globex");
    const args = ["--tenant", "globex", "--subject", "script-1", "--expires-in", "5m"];
    const token = await issue([...args, "--scope", "customers:read tickets:read"]);
    expect(claimsOf(token)).toMatchObject({ sub: "script-1", scope: "customers:read tickets:read" });
    expect((await dev.tools(url, token)).sort()).toEqual([
      "get_ticket",
      "list_my_customers",
      "search_tickets",
    ]);
    expect((await dev.call(url, token, "open_ticket", { subject: "s", body: "b" })).status).toBe(403);
    const repeated = await issue([...args, "--scope", "customers:read", "--scope", "tickets:read"]);
    expect(claimsOf(repeated).scope).toBe("customers:read tickets:read");
    // Less than a demonstration user has.
    const less = await issue("--tenant globex --user grace --scope tickets:read");
    expect(await dev.tools(url, less)).not.toContain("open_ticket");
  });

  test("--shared: from the broker, for the shared URL and no other", async () => {
    const token = await issue("--tenant globex --shared");
    expect(claimsOf(token)).toMatchObject({ aud: dev.line.mcp, iss: dev.line.issuer });
    expect((await dev.call(dev.line.mcp, token, "list_my_customers")).status).toBe(200);
    expect(await status(token, "globex")).toBe(401);
  });

  test.each([
    ["--tenant acme --user nobody", "input_invalid", "demonstration users are: ada, ben, vic"],
    ["--tenant acme --subject me", "input_invalid", "needs the scopes named"],
    ["--tenant nobody", "tenant_not_found", "There is no such tenant."],
    ["--tenant acme --expires-in 61m", "usage", "It may be at most 1h."],
    ["--tenant acme --expires-in 0m", "usage", "A duration is a number and s, m, h or d, for example 5m."],
    [
      "--tenant acme --user ada --subject me",
      "usage",
      /'--user <user>' cannot be used with option '--subject/,
    ],
    ["--user ada", "usage", "required option '--tenant <tenant>' not specified"],
  ])("%s: %s", async (args, code, words) => {
    expectFailed(await dev.bulkhead(`tokens issue ${args}`), code, words);
  });
});

describe("tokens revoke", () => {
  const issuer = (tenant: string): string => `${dev.line.url}/issuers/${tenant}`;

  test("--stdin: the one token that stands there, which is in no argument and not in what is printed", async () => {
    const token = await issue("--tenant acme --user ben");
    const other = await issue("--tenant acme --user ben");
    expect(await status(token)).toBe(200);
    const revoked = expectDone(
      await dev.bulkhead("tokens revoke --tenant acme --stdin", { input: `${token}\n` }),
    );
    const { jti } = claimsOf(token);
    expect(revoked.stdout).toMatch(/^id +rev_\S+\nkind +token\n/);
    expect(revoked.stdout).toMatch(new RegExp(`\njti +${String(jti)}\n$`));
    expect(await status(token)).toBe(401);
    expect(await status(other)).toBe(200);

    const named = await dev.bulkhead(
      `tokens revoke --tenant acme --issuer ${issuer("acme")} --jti=${String(claimsOf(other).jti)} --json`,
    );
    expect(expectDone(named).json()).toMatchObject({ kind: "token", issuer: issuer("acme") });
    expect(await status(other)).toBe(401);
  });

  test("--subject: all that was issued to it until then, and nobody else's", async () => {
    const [vic, ada] = [await issue("--tenant acme --user vic"), await issue("--tenant acme")];
    const call = async (token: string): Promise<number> =>
      (await dev.call(dev.mcpUrl("acme"), token, "search_tickets")).status;
    const of = `tokens revoke --tenant acme --issuer ${issuer("acme")} --subject vic`;
    expectDone(await dev.bulkhead(`${of} --not-before 2020-01-31T12:00:00Z`));
    expect(await call(vic)).toBe(200);
    const revoked = expectDone(await dev.bulkhead(of));
    expect(revoked.stdout).toMatch(/\nsubject +vic\nnot before +20\d\d-\S+Z\n$/);
    expect([await call(vic), await call(ada)]).toEqual([401, 200]);
  });

  test("--signing-key: all that it signed; --all: everything of the tenant; and nothing of another", async () => {
    const [token, elsewhere] = [await issue("--tenant globex"), await issue("--tenant acme")];
    const shared = await issue("--tenant globex --shared");
    const { kid } = JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString());
    const byKey = expectDone(
      await dev.bulkhead(
        `tokens revoke --tenant globex --issuer ${issuer("globex")} --signing-key=${kid} --json`,
      ),
    ).json();
    expect(byKey).toMatchObject({ kind: "signing_key", keyId: kid });
    expect(await status(token, "globex")).toBe(401);
    const atShared = async (): Promise<number> =>
      (await dev.call(dev.line.mcp, shared, "list_my_customers")).status;
    expect(await atShared()).toBe(200);
    const all = expectDone(await dev.bulkhead("tokens revoke --tenant globex --all"));
    expect(all.stdout).toMatch(/^id +rev_\S+\nkind +tenant\nnot before +\S+\n$/);
    expect(await atShared()).toBe(401);
    expect(await status(elsewhere)).toBe(200);
  });

  test("an issuer that the tenant does not know: done, and said so", async () => {
    const of = "--tenant acme --issuer https://misspelt.example --jti 1";
    const ran = await dev.bulkhead(`tokens revoke ${of}`);
    expect([ran.status, ran.stderr]).toEqual([0, "acme takes no tokens of this issuer\n"]);
    expect(expectDone(await dev.bulkhead(`tokens revoke ${of} --json`)).json().issuerRegistered).toBe(false);
  });

  const NO_JTI = `a.${Buffer.from('{"iss":1,"jti":2}').toString("base64url")}.c`;
  test.each([
    ["", "usage", "Give one of --stdin, --jti, --subject, --signing-key and --all."],
    ["--jti 1 --all", "usage", "Give one of --stdin"],
    ["--jti 1", "usage", "need --issuer, the iss of the tokens"],
    ["--all --issuer https://x.example", "usage", "--issuer goes with --jti, --subject or --signing-key"],
    [
      "--jti 1 --issuer https://x.example --not-before 2026-01-31T12:00:00Z",
      "usage",
      "--not-before goes with",
    ],
    ["--all --not-before yesterday", "input_invalid", /notBefore[\s\S]*tokens revoke --help/],
    ["--all --not-before 2999-01-01T00:00:00Z", "input_invalid", "notBefore"],
    ["--stdin", "usage", "no token with iss and jti; revoke its subject instead", "not-a-token"],
    ["--stdin", "usage", "no token with iss and jti", NO_JTI],
    ["--stdin", "usage", "Standard input is empty.", "\n"],
    [
      "--stdin",
      "usage",
      `That is an API key: remove it with bulkhead keys remove key_${"0".repeat(26)} --tenant acme`,
      `bk_${"0".repeat(26)}_${"A".repeat(43)}`,
    ],
    ["--stdin", "usage", "That is an API key: remove it with bulkhead keys remove <id>", "bk_half-a-key"],
    ["--stdin", "usage", "Standard input is too long", "x".repeat(20_001)],
  ])("%s: %s (%s)", async (args, code, words, input?: string) => {
    const given = args === "" ? [] : args.split(" ");
    const ran = await dev.bulkhead(
      ["tokens", "revoke", "--tenant", "acme", ...given],
      input === undefined ? {} : { input },
    );
    expectFailed(ran, code, words);
    if (input !== undefined && input.trim() !== "") expect(ran.stderr).not.toContain(input);
  });
});

describe("a tenant administrator's token in place of the operator's", () => {
  test("does for the own tenant what the operator can do, and nothing for another", async () => {
    const token = await issue("--tenant acme --subject root --scope admin");
    const listed = expectDone(await dev.bulkheadAs(token, "issuers list --tenant acme"));
    expect(listed.stdout).toContain(`${dev.line.url}/issuers/acme`);
    expectDone(await dev.bulkheadAs(token, "keys enable --tenant acme"));
    expectFailed(await dev.bulkheadAs(token, "issuers list --tenant globex"), "tenant_not_found");
    expectFailed(
      await dev.bulkheadAs(token, "issuers list"),
      "operator_only",
      "Only the operator may do this.",
    );
    expectFailed(await dev.bulkheadAs(token, "tokens issue --tenant acme"), "operator_only");

    const plain = await issue("--tenant acme --user ben");
    expectFailed(await dev.bulkheadAs(plain, "keys list --tenant acme"), "administrator_required");
    expectDone(await dev.bulkheadAs(dev.line.admin.token, "issuers list"));
    const wrong = await dev.bulkheadAs("bko_wrong", "keys list --tenant acme");
    expectFailed(wrong, "operator_token_required", "BULKHEAD_OPERATOR_TOKEN");
    for (const secret of [token, plain, "bko_wrong"]) {
      expect(`${wrong.stderr}${dev.log()}`).not.toContain(secret);
    }
  });
});
