import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type DevServer, expectDone, expectFailed, startDevServer } from "./admin-commands.ts";

let dev: DevServer;
beforeAll(async () => {
  dev = await startDevServer();
});
afterAll(() => dev.close());

async function explain(args: string): Promise<string> {
  return expectDone(await dev.bulkhead(`access explain --tenant acme ${args}`)).stdout;
}

describe("access explain", () => {
  test("of a demonstration user, without scopes: by those that its tokens have", async () => {
    expect(await explain("--subject ben --tool open_ticket")).toBe(
      `ben may call open_ticket: it needs tickets:write, which a scope of the token grants.

PERMISSION      FROM
tickets:read    scope (demonstration user)
tickets:write   scope (demonstration user)
customers:read  scope (demonstration user)
`,
    );
    expect(await explain("--subject ben --tool close_ticket")).toMatch(
      /^ben may not call close_ticket: it needs tickets:manage, which nothing that it has grants; a token with the scope tickets:manage, or the role lead, would\.\n/,
    );
    // At the issuers of development alone, and not where scopes are named.
    const own = await explain(`--subject ben --tool open_ticket --issuer ${dev.line.url}/issuers/acme`);
    expect(own).toMatch(/^ben may call/);
    const broker = await explain(`--subject ben --tool open_ticket --issuer ${dev.line.issuer}`);
    expect(broker).toMatch(/^ben may call/);
    expect(await explain("--subject ben --tool open_ticket --scope tickets:read")).toMatch(/^ben may not/);
    expect(await explain("--subject grace --tool open_ticket")).toMatch(/^grace may not/);
    const elsewhere = "https://login.elsewhere.example";
    expectDone(
      await dev.bulkhead(
        `issuers add ${elsewhere} --tenant acme --profile okta --jwks-uri ${elsewhere}/keys`,
      ),
    );
    expect(await explain(`--subject ben --tool open_ticket --issuer ${elsewhere}`)).toMatch(/^ben may not/);
  });

  test("decides as a call does, with the reason", async () => {
    const explained = expectDone(
      await dev.bulkhead(
        "access explain --tenant acme --subject ben --tool get_ticket --scope tickets:manage --json",
      ),
    ).json();
    expect(explained).toMatchObject({
      allowed: true,
      decision: { reason: "implied", permission: "tickets:read", by: "tickets:manage", from: "scope" },
      grants: [{ permission: "tickets:manage", from: "scope" }],
    });
    expect(await explain("--subject x --role agent --resource helpdesk://tickets/{number}")).toMatch(
      /^x may read helpdesk:\/\/tickets\/\{number\}: it needs tickets:read, which the role agent grants\.\n/,
    );
    expect(await explain("--subject x --prompt draft_reply")).toMatch(/^x may not use draft_reply: /);
    expect(await explain("--subject x --tool no_such_tool")).toBe(
      "x may not call no_such_tool: acme has no such tool.\n",
    );
    // Of an API key.
    expectDone(await dev.bulkhead("keys enable --tenant acme"));
    const key = expectDone(
      await dev.bulkhead("keys create --tenant acme --name nightly --permission tickets:* --json"),
    ).json();
    expect(await explain(`--key ${key.id} --tool close_ticket`)).toBe(
      `The API key nightly may call close_ticket: it needs tickets:manage, which tickets:* covers, which the API key grants.

PERMISSION  FROM
tickets:*   api key
`,
    );
  });

  test.each([
    ["explain --tenant acme --subject ben", "usage", "Give one of --tool, --resource and --prompt."],
    ["explain --tenant acme --subject ben --tool a --prompt b", "usage", "Give one of --tool"],
    ["explain --subject ben --tool a", "usage", "required option '--tenant <tenant>' not specified"],
    ["explain --tenant nobody --subject ben --tool a", "tenant_not_found", "There is no such tenant."],
    [
      "explain --tenant acme --subject ben --tool a --issuer https://x",
      "input_invalid",
      "trusts no such issuer",
    ],
    ["explain --tenant acme --key key_1 --tool a", "input_invalid", "key: "],
    ["assign --tenant acme --subject ben --role agent", "usage", "required option '--issuer <issuer>'"],
    ["assign --tenant acme --subject ben --issuer https://x", "usage", "required option '--role <name>'"],
    ["list --tenant nobody", "tenant_not_found", "There is no such tenant."],
  ])("%s: %s", async (args, code, words) => {
    expectFailed(await dev.bulkhead(`access ${args}`), code, words);
  });
});

describe("roles", () => {
  test("are assigned, seen by list and explain, change what a token may do, and are taken away", async () => {
    const issuer = `${dev.line.url}/issuers/globex`;
    const of = `--tenant globex --subject vera --issuer ${issuer}`;
    const token = expectDone(await dev.bulkhead("tokens issue --tenant globex --user vera")).stdout.trim();
    const url = dev.mcpUrl("globex");
    expect(await dev.tools(url, token)).not.toContain("open_ticket");
    expect(expectDone(await dev.bulkhead("access list --tenant globex")).stdout).toBe("None.\n");

    expectFailed(
      await dev.bulkhead(`access assign ${of} --role boss`),
      "input_invalid",
      /The tenant defines no such role\.[\s\S]*bulkhead access assign --help/,
    );
    const assigned = expectDone(await dev.bulkhead(`access assign ${of} --role agent --role lead`));
    expect(assigned.stdout).toBe(`subject  vera\nissuer   ${issuer}\nroles    agent lead\n`);
    expect(await dev.tools(url, token)).toContain("close_ticket");
    // In place of those before.
    const replaced = expectDone(await dev.bulkhead(`access assign ${of} --role agent --json`)).json();
    expect(replaced).toMatchObject({ subject: "vera", issuer, roles: ["agent"] });
    const tools = await dev.tools(url, token);
    expect(tools).toContain("open_ticket");
    expect(tools).not.toContain("close_ticket");

    expect(expectDone(await dev.bulkhead("access list --tenant globex")).stdout).toBe(
      `SUBJECT  ROLES  ISSUER\nvera     agent  ${issuer}\n`,
    );
    const why = "access explain --tenant globex --subject vera --tool open_ticket";
    expect(expectDone(await dev.bulkhead(why)).stdout).toBe(
      `vera may call open_ticket: it needs tickets:write, which the role agent grants.

PERMISSION      FROM
tickets:read    scope (demonstration user)
tickets:read    role agent
tickets:write   role agent
customers:read  role agent
`,
    );

    expect(expectDone(await dev.bulkhead(`access unassign ${of}`)).stdout).toBe(
      "vera has no assigned roles any more.\n",
    );
    expect(await dev.tools(url, token)).not.toContain("open_ticket");
    const misspelt = "--tenant globex --subject vera --issuer https://misspelt.example";
    const unknown = await dev.bulkhead(`access assign ${misspelt} --role lead`);
    expect([unknown.status, unknown.stderr]).toEqual([0, "globex takes no tokens of this issuer\n"]);
    expectDone(await dev.bulkhead(`access unassign ${misspelt}`));
    expectDone(await dev.bulkhead(`access assign ${of} --role lead`));
    expect(expectDone(await dev.bulkhead(`access unassign ${of} --json`)).json()).toMatchObject({
      subject: "vera",
      issuer,
    });
    expectFailed(
      await dev.bulkhead(`access unassign ${of}`),
      "role_assignment_not_found",
      "remedy: bulkhead access list --tenant globex shows who has roles, and of which issuer.",
    );
  });
});
