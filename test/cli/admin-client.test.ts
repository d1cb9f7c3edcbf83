import { mkdir, writeFile } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../../src/cli/free-port.ts";
import { expectFailed, type Ran, run } from "./admin-commands.ts";
import { createCommandBench } from "./bulkhead-command.ts";

const TOKEN = "operator-token-for-tests-0123456789abcdef";
const bench = createCommandBench();
const servers: Server[] = [];
/** A directory from which nothing serves. */
let nothing: string;
beforeAll(async () => {
  nothing = await bench.directory();
});
afterAll(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  await bench.close();
});

/** Something that listens on this machine; gives its URL. */
async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Something that answers everything with this JSON. */
function serveJson(value: unknown, status = 200): Promise<string> {
  return serve((_req, res) => res.writeHead(status).end(JSON.stringify(value)));
}

/** Lists the keys of acme at a URL, as its operator. */
function listKeys(url: string, ...more: readonly string[]): Promise<Ran> {
  return bulkhead(["keys", "list", "--tenant", "acme", "--url", url, ...more]);
}

function bulkhead(args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  return run(bench, args, { env: { BULKHEAD_OPERATOR_TOKEN: TOKEN, ...env } });
}

describe("where the server is", { concurrent: true }, () => {
  test("no server in the data directory", async () => {
    const ran = await bulkhead(["keys", "list", "--tenant", "acme", "--data-dir", nothing]);
    expectFailed(ran, "server_unreachable", `No bulkhead dev serves from ${nothing}.`, "Start bulkhead dev");
  });

  test("a server that a killed bulkhead dev has left in the data directory", async () => {
    const dataDir = join(await bench.directory(), "left");
    const url = `http://127.0.0.1:${await freePort(0)}`;
    await mkdir(dataDir);
    await writeFile(
      join(dataDir, "server.json"),
      JSON.stringify({ url, token: "bko_of-a-run-that-is-gone" }),
    );
    const ran = await bulkhead(["keys", "list", "--tenant", "acme", "--data-dir", dataDir]);
    const what = `The bulkhead dev of ${dataDir}, at ${url}/admin/v1, does not answer (ECONNREFUSED).`;
    expectFailed(ran, "server_unreachable", what);
    expect(ran.stderr).not.toContain("bko_");
  });

  test("the data directory's server gets the token of the environment, or else the directory's", async () => {
    const tokens: (string | undefined)[] = [];
    const url = await serve((req, res) => {
      tokens.push(req.headers.authorization);
      res.end('{"items":[]}');
    });
    const dataDir = join(await bench.directory(), "two-tokens");
    await mkdir(dataDir);
    const list = ["keys", "list", "--tenant", "acme", "--data-dir", dataDir];
    await writeFile(join(dataDir, "server.json"), JSON.stringify({ url, token: "bko_own" }));
    await bulkhead(list);
    await bulkhead(list, { BULKHEAD_OPERATOR_TOKEN: "" });
    expect(tokens).toEqual([`Bearer ${TOKEN}`, "Bearer bko_own"]);

    // Whoever wrote the file must not be sent a token of another server.
    const elsewhere = { url: "https://elsewhere.example", token: "bko_own" };
    await writeFile(join(dataDir, "server.json"), JSON.stringify(elsewhere));
    expectFailed(await bulkhead(list), "setting_invalid", "is not on this machine");
  });

  test.each(["{", "[]", '{"url":1,"token":"x"}', '{"url":"http://127.0.0.1:1"}'])(
    "a file in the data directory that says nothing: %s",
    async (text) => {
      const dataDir = join(await bench.directory(), "odd");
      await mkdir(dataDir);
      await writeFile(join(dataDir, "server.json"), text);
      const ran = await bulkhead(["keys", "list", "--tenant", "acme", "--data-dir", dataDir]);
      expectFailed(ran, "server_unreachable", "No bulkhead dev serves from");
    },
  );

  test("nobody listens at the URL", async () => {
    const url = `http://127.0.0.1:${await freePort(0)}`;
    const ran = await listKeys(url);
    expectFailed(ran, "server_unreachable", `${url}/admin/v1 does not answer (ECONNREFUSED).`);
  });

  test("a URL and no token", async () => {
    const ran = await bulkhead(["keys", "list", "--tenant", "acme", "--url", "https://mcp.example.com"], {
      BULKHEAD_OPERATOR_TOKEN: "",
    });
    expectFailed(ran, "admin_token_missing", "There is no token for the admin API.");
  });

  test.each([
    "http://mcp.example.com",
    "http://127.0.0.1.example.com",
    "ftp://127.0.0.1",
    "https://user@mcp.example.com",
    "https://:password@mcp.example.com",
    "https://mcp.example.com/?tenant=acme",
    "mcp.example.com",
  ])("%s is refused before anything is sent", async (url) => {
    const ran = await listKeys(url);
    expectFailed(ran, "setting_invalid", "must be https, or http to this machine", "https://mcp.example.com");
    expect(ran.stderr).not.toContain("password@");
  });

  test("a token that cannot stand in a header is refused, and not quoted", async () => {
    const ran = await bulkhead(["keys", "list", "--tenant", "acme", "--url", "http://127.0.0.1:1"], {
      BULKHEAD_OPERATOR_TOKEN: `${TOKEN}\n`,
    });
    expectFailed(ran, "setting_invalid", "BULKHEAD_OPERATOR_TOKEN has a character that no token has");
    expect(ran.stderr).not.toContain(TOKEN);
  });

  test("--url and --data-dir together are not understood", async () => {
    expectFailed(
      await listKeys("http://127.0.0.1:1", "--data-dir", nothing),
      "usage",
      "cannot be used with option '--data-dir",
    );
  });

  test("--data-dir holds before BULKHEAD_URL, and that before .bulkhead", async () => {
    const url = await serveJson({ items: [{ id: "key_of_the_url" }] });
    const list = ["keys", "list", "--tenant", "acme"];
    const byEnvironment = await bulkhead(list, { BULKHEAD_URL: `${url}/` });
    expect(byEnvironment.stdout).toContain("key_of_the_url");
    expectFailed(
      await bulkhead([...list, "--data-dir", nothing], { BULKHEAD_URL: url }),
      "server_unreachable",
      "No bulkhead dev",
    );
  });
});

describe("what a server answers", { concurrent: true }, () => {
  test("every page of a list is read, with the token, below /admin/v1 of the URL or of its own", async () => {
    const asked: (string | undefined)[] = [];
    const url = await serve((req, res) => {
      asked.push(`${req.url} ${req.headers.authorization}`);
      const last = req.url?.includes("cursor=") === true;
      res.end(
        JSON.stringify({ items: [{ id: last ? "b" : "a" }], ...(last ? {} : { nextCursor: "a/?&b" }) }),
      );
    });
    for (const given of [url, `${url}/`, `${url}/admin/v1`, `${url}/admin/v1/`]) {
      asked.length = 0;
      const { stdout } = await listKeys(given, "--json");
      expect(stdout).toBe('{"items":[{"id":"a"},{"id":"b"}]}\n');
      expect(asked).toEqual([
        `/admin/v1/tenants/acme/keys?limit=200 Bearer ${TOKEN}`,
        `/admin/v1/tenants/acme/keys?limit=200&cursor=a%2F%3F%26b Bearer ${TOKEN}`,
      ]);
    }
  });

  test("a name stays one segment of the path, whatever is in it", async () => {
    const asked: (string | undefined)[] = [];
    const url = await serve((req, res) => {
      asked.push(req.url);
      res.end('{"items":[]}');
    });
    await bulkhead(["keys", "remove", "../../tenants/b?x#", "--tenant", "a/../b", "--url", url]);
    expect(asked).toEqual(["/admin/v1/tenants/a%2F..%2Fb/keys/..%2F..%2Ftenants%2Fb%3Fx%23"]);
  });

  test.each([301, 302, 303, 307, 308])(
    "a redirection (%i) is not followed: the token goes nowhere else",
    async (status) => {
      const elsewhere: (string | undefined)[] = [];
      const other = await serve((req, res) => {
        elsewhere.push(req.headers.authorization);
        res.end('{"items":[]}');
      });
      const url = await serve((req, res) => res.writeHead(status, { location: `${other}${req.url}` }).end());
      expectFailed(
        await listKeys(url),
        "server_unreachable",
        "redirects elsewhere",
        "the server itself answers",
      );
      expect(elsewhere).toEqual([]);
    },
  );

  test.each([
    ["no JSON", "<html>", 200, "server_unreachable", "is not Bulkhead's admin API"],
    ["JSON that is no object", "[1]", 200, "server_unreachable", "is not Bulkhead's admin API"],
    ["an object without items", '{"data":[]}', 200, "server_unreachable", "is not Bulkhead's admin API"],
    ["a list without an end", '{"items":[],"nextCursor":"again"}', 200, "server_unreachable", "admin API"],
    [
      "more than there can be",
      `{"items":["${"x".repeat(17_000_000)}"]}`,
      200,
      "server_unreachable",
      "admin API",
    ],
    [
      "an error without a code",
      "<html>",
      502,
      "server_unreachable",
      "with status 502, is not Bulkhead's admin API",
    ],
    [
      "an error of another server",
      '{"error":"Not found"}',
      404,
      "server_unreachable",
      "is not Bulkhead's admin",
    ],
    [
      "a code of a later version",
      '{"code":"teapot","detail":"Short and stout."}',
      418,
      "admin_refused",
      "stout",
    ],
    // It would end with the exit status of a command line that is not understood.
    ["a code of the command line", '{"code":"usage","detail":"No."}', 400, "admin_refused", "No."],
    ["the name of a member that every object has", '{"code":"constructor"}', 400, "admin_refused", "400"],
  ])("%s", async (_name, body, status, code, words) => {
    const url = await serve((_req, res) => res.writeHead(status).end(body));
    expectFailed(await listKeys(url), code, words);
  });

  test.each([
    "tokens issue",
    "keys create --name n --permission p",
    "keys enable",
    "access explain --tool t",
  ])("an answer to %s without what it must have is no success", async (command) => {
    const url = await serveJson({ apiKeys: false });
    const args = [...command.split(" "), "--tenant", "acme", "--url", url];
    expectFailed(await bulkhead(args), "server_unreachable", "is not Bulkhead's admin API");
  });

  test("a server that is not in development issues no tokens, and the remedy says so", async () => {
    const url = await serveJson({ code: "route_unknown", detail: "There is nothing at this address." }, 404);
    const ran = await bulkhead(["tokens", "issue", "--tenant", "acme", "--url", url]);
    expectFailed(ran, "route_unknown", "only bulkhead dev issues tokens");
  });

  test("a refusal is shown under the server's own code, with its detail and its remedy", async () => {
    const url = await serveJson(
      {
        code: "too_many",
        title: "Too many",
        detail: "A tenant has at most 200 keys.",
        remedy: "Remove some.",
      },
      409,
    );
    const ran = await listKeys(url);
    expectFailed(ran, "too_many", "A tenant has at most 200 keys.", "remedy: Remove some.");
    const inJson = await listKeys(url, "--json");
    expect([inJson.status, inJson.stdout, JSON.parse(inJson.stderr)]).toEqual([
      1,
      "",
      {
        event: "error",
        code: "too_many",
        message: expect.stringContaining("A tenant has at most 200 keys."),
        remedy: "Remove some.",
      },
    ]);
  });
});

describe("control characters that a server sends", { concurrent: true }, () => {
  /** Controls of both kinds, line ends that are no controls, and one that turns the direction of writing. */
  const HOSTILE = "a\u001b[2Jb\u009b2Jc\r\nd\u0007e\u007ff\u2028g\u202eh\u0000";
  const row = { id: HOSTILE, name: HOSTILE, permissions: [HOSTILE], subject: HOSTILE };
  const hostileObject = {
    ...row,
    key: HOSTILE,
    token: HOSTILE,
    issuer: HOSTILE,
    slug: HOSTILE,
    apiKeys: true,
    subject: HOSTILE,
    why: HOSTILE,
    grants: [{ permission: HOSTILE, from: { [HOSTILE]: HOSTILE } }],
    introspection: { endpoint: HOSTILE },
    items: [row],
  };

  const COMMANDS = [
    "keys list --tenant acme",
    "keys create --tenant acme --name n --permission p",
    "keys enable --tenant acme",
    "keys remove x --tenant acme",
    "issuers list",
    "issuers add https://x.example --broker",
    "issuers remove x --broker",
    "tokens issue --tenant acme",
    "tokens revoke --tenant acme --all",
    "access explain --tenant acme --tool x",
    "access list --tenant acme",
    "access assign --tenant acme --subject s --issuer https://x.example --role r",
  ];

  test.each(COMMANDS)("%s: none reaches the terminal", async (command) => {
    const url = await serveJson(hostileObject);
    const plain = await bulkhead([...command.split(" "), "--url", url]);
    expect(plain.status).toBe(0);
    expect(plain.stdout).toContain("a\uFFFD[2Jb\uFFFD2Jc\uFFFD\uFFFDd");
    expectPlain(plain.stdout);
    const inJson = await bulkhead([...command.split(" "), "--url", url, "--json"]);
    expect(inJson.stdout).toMatch(/^[^\n]+\n$/);
    expectPlain(inJson.stdout);
    // And yet nothing of it is lost.
    expect(JSON.stringify(JSON.parse(inJson.stdout))).toContain(JSON.stringify(HOSTILE).slice(1, -1));
  });

  test("nor by what it refuses with", async () => {
    const url = await serveJson({ code: "too_many", detail: HOSTILE, remedy: HOSTILE }, 409);
    const ran = await listKeys(url);
    expectFailed(ran, "too_many", "a\uFFFD[2Jb");
    expectPlain(ran.stderr);
    expectPlain((await listKeys(url, "--json")).stderr);
  });

  function expectPlain(text: string): void {
    expect(text).not.toMatch(/(?!\n)[\p{Cc}\u2028\u202e]/u);
  }
});
