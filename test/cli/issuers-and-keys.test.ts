import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type DevServer, expectDone, expectFailed, startDevServer } from "./admin-commands.ts";

let dev: DevServer;
beforeAll(async () => {
  dev = await startDevServer();
});
afterAll(() => dev.close());

describe("issuers", () => {
  test("of a tenant are added, listed and removed", async () => {
    const added = expectDone(
      await dev.bulkhead(
        "issuers add https://login.acme.example --tenant acme --profile okta --jwks-uri https://login.acme.example/keys --roles-claim groups --max-lifetime 8h --json",
      ),
    ).json();
    expect(added).toMatchObject({
      issuer: "https://login.acme.example",
      profile: "okta",
      jwksUri: "https://login.acme.example/keys",
      rolesClaim: ["groups"],
      maxLifetimeSeconds: 28_800,
    });

    const listed = expectDone(await dev.bulkhead("issuers list --tenant acme"));
    expect(listed.stdout).toMatch(/^ID +ISSUER +PROFILE +TENANT CLAIM +VALUE\n/);
    expect(listed.stdout).toMatch(new RegExp(`\n${added.id} +https://login\\.acme\\.example +okta +- +-\n`));
    const rows = expectDone(await dev.bulkhead("issuers list --tenant acme --json")).json();
    expect(rows.items).toContainEqual(added);

    const removed = expectDone(await dev.bulkhead(`issuers remove ${added.id} --tenant acme`));
    expect(removed.stdout).toBe("removed  https://login.acme.example\n");
    expectFailed(
      await dev.bulkhead(`issuers remove ${added.id} --tenant acme`),
      "issuer_not_found",
      "remedy: bulkhead issuers list --tenant acme shows the ids.",
    );
  });

  test("a broker is declared, mapped to a tenant, unmapped, and removed", async () => {
    const claim = "--tenant-claim org --jwks-uri https://broker.example/keys";
    const broker = expectDone(await dev.bulkhead(`issuers add https://broker.example --broker ${claim}`));
    expect(broker.stdout).toMatch(/\nissuer +https:\/\/broker\.example\nprofile +broker\n/);
    const id = /^id +(\S+)\n/.exec(broker.stdout)?.[1] ?? "";
    expect(expectDone(await dev.bulkhead("issuers list")).stdout).toMatch(
      new RegExp(`\n${id} +https://broker\\.example +broker +org +-\n`),
    );

    const mapped = expectDone(
      await dev.bulkhead("issuers add https://broker.example --tenant acme --tenant-value acme-1 --json"),
    ).json();
    expect(mapped).toMatchObject({ id, broker: true, tenantValue: "acme-1" });
    // A value is one tenant's.
    expectFailed(
      await dev.bulkhead("issuers add https://broker.example --tenant globex --tenant-value acme-1"),
      "issuer_refused",
    );
    expectDone(await dev.bulkhead(`issuers remove ${id} --tenant acme`));
    expect((await dev.bulkhead("issuers list --tenant acme")).stdout).not.toContain(id);
    expect((await dev.bulkhead("issuers list")).stdout).toContain(id);

    // Which of the two is meant must be said.
    expectFailed(await dev.bulkhead(`issuers remove ${id}`), "usage", "Give either --tenant or --broker.");
    expectDone(await dev.bulkhead(`issuers remove ${id} --broker`));
    expect((await dev.bulkhead("issuers list")).stdout).not.toContain(id);
  });

  test("an introspection client's secret comes from the environment, and is shown nowhere", async () => {
    const secret = "the-secret-of-an-introspection-client";
    const added = expectDone(
      await dev.bulkhead(
        "issuers add https://opaque.example --tenant acme --no-tenant-claim --introspection-endpoint https://opaque.example/introspect --introspection-client-id bulkhead",
        { env: { BULKHEAD_INTROSPECTION_SECRET: secret } },
      ),
    );
    expect(added.stdout).toMatch(/\nintrospection +https:\/\/opaque\.example\/introspect\n/);
    expect(added.stdout).toMatch(/\nas client +bulkhead\n$/);
    const { items } = expectDone(await dev.bulkhead("issuers list --tenant acme --json")).json();
    expect(items).toContainEqual(
      expect.objectContaining({
        issuer: "https://opaque.example",
        tenantClaim: null,
        introspection: { endpoint: "https://opaque.example/introspect", clientId: "bulkhead" },
      }),
    );
    expect(`${added.stdout}${JSON.stringify(items)}`).not.toContain(secret);

    const without =
      "issuers add https://other.example --tenant acme --introspection-endpoint https://other.example/i";
    expectFailed(await dev.bulkhead(without), "usage", "BULKHEAD_INTROSPECTION_SECRET");
    // Other users of the machine see arguments: there is none for it.
    expectFailed(
      await dev.bulkhead(`${without} --introspection-secret ${secret}`),
      "usage",
      "unknown option '--introspection-secret'",
    );
  });

  test.each([
    ["add https://x.example", "usage", "Give either --tenant or --broker."],
    ["add https://x.example --tenant acme --broker", "usage", "Give either --tenant or --broker."],
    [
      "add https://x.example --tenant acme --no-tenant-claim --tenant-claim org",
      "usage",
      "Give one of --tenant-claim and --no-tenant-claim.",
    ],
    [
      "add https://x.example --tenant acme --tenant-claim org --no-tenant-claim",
      "usage",
      "Give one of --tenant-claim and --no-tenant-claim.",
    ],
    ["add --tenant acme", "usage", "missing required argument 'issuer'"],
    ["add https://x.example --tenant acme --max-lifetime 25h", "usage", "It may be at most 24h."],
    ["add https://x.example --tenant nobody --jwks-uri https://x.example/k", "tenant_not_found", "--tenant"],
    ["list --tenant nobody", "tenant_not_found", "There is no such tenant."],
    [
      "add https://x.example --tenant acme --profile ping",
      "input_invalid",
      /profile: .*keycloak[\s\S]*bulkhead issuers add --help/,
    ],
    ["add http://x.example --tenant acme", "input_invalid", /issuer: Must be an https URL/],
  ])("%s: %s", async (args, code, words) => {
    expectFailed(await dev.bulkhead(`issuers ${args}`), code, words);
  });
});

describe("keys", () => {
  test("are turned on, created, used, listed, removed and turned off", async () => {
    const url = dev.mcpUrl("globex");
    const create = "keys create --tenant globex --name nightly --permission tickets:read";
    expectFailed(
      await dev.bulkhead(create),
      "keys_off",
      "remedy: Turn them on first: bulkhead keys enable --tenant globex",
    );
    expect(expectDone(await dev.bulkhead("keys list --tenant globex")).stdout).toBe("None.\n");
    expect(expectDone(await dev.bulkhead("keys enable --tenant globex")).stdout).toBe(
      "API keys are on for globex.\n",
    );

    const before = Date.now();
    const created = expectDone(
      await dev.bulkhead(`${create} --permission customers:read --expires-in 30d`),
    ).stdout;
    const [, id = "", expires = "", key = ""] =
      /^id +(key_\S+)\nname +nightly\nexpires +(\S+)\nkey, shown this once +(bk_\S+)\n$/.exec(created) ?? [];
    const lifetime = Date.parse(expires) - before;
    expect(lifetime).toBeGreaterThanOrEqual(30 * 86_400_000);
    expect(lifetime).toBeLessThan(30 * 86_400_000 + 60_000);
    const tools = await dev.tools(url, key);
    expect(tools).toEqual(expect.arrayContaining(["get_ticket", "list_my_customers"]));
    expect(tools).not.toContain("open_ticket");

    const list = expectDone(await dev.bulkhead("keys list --tenant globex"));
    expect(list.stdout).toMatch(
      new RegExp(`\n${id} +nightly +tickets:read customers:read +${expires.replaceAll(".", "\\.")}\n$`),
    );
    const { items } = expectDone(await dev.bulkhead("keys list --tenant globex --json")).json();
    expect(items).toEqual([
      expect.objectContaining({ id, permissions: ["tickets:read", "customers:read"], expired: false }),
    ]);
    expect(`${list.stdout}${JSON.stringify(items)}${dev.log()}`).not.toContain(key.slice(-43));

    // Off: none counts, and on again they are there.
    expect(expectDone(await dev.bulkhead("keys disable --tenant globex --json")).json()).toEqual({
      tenant: "globex",
      apiKeys: false,
    });
    await expectStatus(url, key, 401);
    expectDone(await dev.bulkhead("keys enable --tenant globex"));
    await expectStatus(url, key, 200);
    expect(expectDone(await dev.bulkhead(`keys remove ${id} --tenant globex`)).stdout).toBe(
      `removed  ${id}\n`,
    );
    await expectStatus(url, key, 401);
    expectFailed(
      await dev.bulkhead(`keys remove ${id} --tenant globex`),
      "key_not_found",
      "remedy: bulkhead keys list --tenant globex shows the ids.",
    );
  });

  test("with --json a key and an error are each one line of JSON", async () => {
    expectDone(await dev.bulkhead("keys enable --tenant acme"));
    const key = expectDone(
      await dev.bulkhead(
        "keys create --tenant acme --name n --permission tickets:* --permission tickets:* --json",
      ),
    ).json();
    expect(key).toMatchObject({ permissions: ["tickets:*"], key: expect.stringMatching(/^bk_/) });
    const removed = expectDone(await dev.bulkhead(`keys remove ${key.id} --tenant acme --json`)).json();
    expect(removed.id).toBe(key.id);
    const again = await dev.bulkhead(`keys remove ${key.id} --tenant acme --json`);
    expect([again.status, again.stdout]).toEqual([1, ""]);
    expect(again.stderr).toMatch(/^\{.*\}\n$/);
    expect(JSON.parse(again.stderr)).toEqual({
      event: "error",
      code: "key_not_found",
      message: "There is no such API key.",
      remedy: "bulkhead keys list --tenant acme shows the ids.",
    });
  });

  test.each([
    ["create --tenant acme --name n", "usage", "required option '--permission <permission>' not specified"],
    ["create --tenant acme --permission a", "usage", "required option '--name <name>' not specified"],
    [
      "create --tenant acme --name n --permission a --expires-in 2y",
      "usage",
      "A duration is a number and s, m",
    ],
    ["create --tenant acme --name n --permission a --expires-in 367d", "usage", "It may be at most 366d."],
    ["create --tenant acme --name n --permission tick*", "input_invalid", "only as a whole segment"],
    ["list", "usage", "required option '--tenant <tenant>' not specified"],
    ["remove --tenant acme", "usage", "missing required argument 'id'"],
    ["enable --tenant nobody", "tenant_not_found", "There is no such tenant."],
  ])("%s: %s", async (args, code, words) => {
    expectFailed(await dev.bulkhead(`keys ${args}`), code, words);
  });
});

async function expectStatus(url: string, key: string, status: number): Promise<void> {
  expect((await dev.call(url, key, "list_my_customers")).status).toBe(status);
}
