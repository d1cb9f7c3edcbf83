import { execFile } from "node:child_process";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { decodeJwt } from "jose";
import { afterAll, expect, test } from "vitest";
import type { ReadyLine } from "../../src/cli/dev-messages.ts";
import { processStart } from "../../src/data/embedded/process-identity.ts";
import { callTool } from "../support/mcp-request.ts";
import { clusterPlace, createCommandBench, HELPDESK } from "./bulkhead-command.ts";

/** The tests of this file are one story, of one data directory. */
const bench = createCommandBench();
const dataDir = join(await bench.directory(), "data");
afterAll(() => bench.close());

let place: string;
/** Of what the first start has written. */
let ticket: number;

async function postmasterPid(): Promise<number> {
  return Number((await readFile(join(place, "data", "postmaster.pid"), "utf8")).split("\n", 1)[0]);
}

/** Fails if anything of the PostgreSQL of the data directory is left but its files. */
async function expectNoPostgres(pid: number): Promise<void> {
  expect(await processStart(pid)).toBeNull();
  expect(await readdir(join(place, "run"))).toEqual([]);
  expect(await readdir(join(place, "data"))).not.toContain("postmaster.pid");
}

function tokensOf(line: ReadyLine): string[] {
  return [
    line.admin.token,
    ...line.tenants.flatMap((tenant) => [
      tenant.token,
      tenant.sharedToken,
      ...tenant.users.map((user) => user.token),
    ]),
  ];
}

async function ticketSubject(line: ReadyLine): Promise<unknown> {
  const [acme] = line.tenants;
  const answer = await callTool(acme?.mcp ?? "", acme?.token ?? "", "get_ticket", { number: ticket });
  return answer.json.result.structuredContent?.subject;
}

test("dev --json prints the ready line of the contract, serves, and ends without a trace at a SIGTERM of its group", async () => {
  const dev = bench.run(["dev", HELPDESK, "--port", "0", "--data-dir", dataDir, "--json"], {
    env: { BULKHEAD_OPERATOR_TOKEN: "an-operator-token-of-the-environment-0123456789" },
  });
  const line = await dev.ready();
  place = await clusterPlace(dataDir);
  const { url } = line;
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  const jwt = expect.stringMatching(/^eyJ[\w-]+\.[\w-]+\.[\w-]+$/);
  const user = {
    subject: expect.any(String),
    name: expect.any(String),
    permissions: expect.any(Array),
    token: jwt,
  };
  const tenant = (slug: string, plan: string) => ({
    id: expect.stringMatching(/^tnt_/),
    slug,
    plan,
    mcp: `${url}/t/${slug}/mcp`,
    issuer: `${url}/issuers/${slug}`,
    token: jwt,
    sharedToken: jwt,
    users: expect.arrayContaining([user]),
  });
  expect(line).toEqual({
    event: "ready",
    url,
    mcp: `${url}/mcp`,
    issuer: expect.stringMatching(new RegExp(`^${url}/issuers/`)),
    admin: { url: `${url}/admin/v1`, token: expect.stringMatching(/^bko_[\w-]{43}$/) },
    console: `${url}/console/`,
    tenants: [tenant("acme", "enterprise"), tenant("globex", "free")],
  });
  for (const { id, mcp: resource, issuer, token, sharedToken } of line.tenants) {
    const own = decodeJwt(token);
    expect(own).toMatchObject({ iss: issuer, aud: resource });
    expect(Number(own.exp) - Number(own.iat)).toBe(3_600);
    expect(decodeJwt(sharedToken)).toMatchObject({ iss: line.issuer, aud: line.mcp, tenant_id: id });
  }

  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  const [acme] = line.tenants;
  const opened = await callTool(line.mcp, acme?.sharedToken ?? "", "open_ticket", {
    customerEmail: "mara@nordwerk.example",
    subject: "Kept from one start to the next",
    body: "It has to be there again.",
  });
  ticket = opened.json.result.structuredContent.number;
  expect(await ticketSubject(line)).toBe("Kept from one start to the next");
  const tenants = await fetch(`${line.admin.url}/tenants`, {
    headers: { authorization: `Bearer ${line.admin.token}` },
  });
  expect(tenants.status).toBe(200);

  const pid = await postmasterPid();
  dev.signal("SIGTERM", "group");
  expect(await dev.ended).toEqual({ status: 0, signal: null });
  await expectNoPostgres(pid);
  await expect(fetch(`${url}/healthz`)).rejects.toThrow();
  expect(dev.stdout().match(/\n/g)).toHaveLength(1);
  expect(dev.errorLines().at(-1)).toMatchObject({ event: "lifecycle", phase: "stopped" });
  for (const token of tokensOf(line)) expect(dev.stderr()).not.toContain(token);
});

test("it starts again with its data, prints for people what works as printed, and ends at Ctrl-C", async () => {
  // The one start that is of the source for every user: the others are of what it is compiled to.
  const dev = bench.run(["dev", HELPDESK, "--port", "0", "--data-dir", dataDir], { fromSource: true });
  await dev.says("Ctrl-C stops it");
  const banner = dev.stdout();
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(banner)?.[0] ?? "";
  for (const path of ["/mcp", "/t/acme/mcp", "/t/globex/mcp", "/admin/v1"]) {
    expect(banner).toMatch(new RegExp(`  ${url}${path}\n`));
  }
  const operatorToken = /bko_[\w-]{43}/.exec(banner)?.[0];
  const tenants = await fetch(`${url}/admin/v1/tenants`, {
    headers: { authorization: `Bearer ${operatorToken}` },
  });
  expect(tenants.status).toBe(200);

  const tokens = new Set(banner.match(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g));
  expect([...tokens].map((token) => decodeJwt(token).aud)).toEqual([
    `${url}/t/acme/mcp`,
    `${url}/t/globex/mcp`,
  ]);

  const curl = /^curl (?:.*\\\n)*.*$/m.exec(banner)?.[0] ?? "";
  const { stdout } = await promisify(execFile)("bash", ["-c", `${curl} --write-out '\n%{http_code}'`]);
  const [body = "", status] = stdout.split("\n");
  expect(status).toBe("200");
  const names = JSON.parse(body).result.tools.map((tool: { name: string }) => tool.name);
  expect(names).toContain("search_tickets");

  const configuration = JSON.parse(/^ {2}\{\n[\s\S]*?^ {2}\}$/m.exec(banner)?.[0] ?? "");
  const { acme } = configuration.mcpServers;
  expect(acme).toEqual({
    type: "http",
    url: `${url}/t/acme/mcp`,
    headers: { Authorization: expect.stringMatching(/^Bearer eyJ/) },
  });
  const token = acme.headers.Authorization.slice("Bearer ".length);
  const found = await callTool(acme.url, token, "get_ticket", { number: ticket });
  expect(found.json.result.structuredContent.subject).toBe("Kept from one start to the next");

  const pid = await postmasterPid();
  dev.signal("SIGINT", "group");
  expect(await dev.ended).toEqual({ status: 0, signal: null });
  await expectNoPostgres(pid);
  const log = join(dataDir, "bulkhead.log");
  expect((await stat(log)).mode & 0o777).toBe(0o600);
  const written = (await readFile(log, "utf8")) + dev.stderr();
  expect(written).toContain('"tools/list"');
  for (const secret of [...tokens, operatorToken]) expect(written).not.toContain(secret);
});

test("a second one is refused the data directory, and a killed one's is taken over with its data", async () => {
  const killed = bench.run(["dev", HELPDESK, "--port", "0", "--data-dir", dataDir, "--json"]);
  const first = await killed.ready();
  const second = bench.run(["dev", HELPDESK, "--port", "0", "--data-dir", dataDir, "--json"]);
  expect(await second.ended).toEqual({ status: 1, signal: null });
  expect(second.stdout()).toBe("");
  expect(second.errorLines()).toEqual([
    {
      event: "error",
      code: "data_dir_in_use",
      message: expect.stringContaining(`process ${killed.pid} `),
      remedy: `Stop process ${killed.pid}, or choose another directory with --data-dir.`,
    },
  ]);

  // Whoever read its output may go away: it goes on, also once its log has been written.
  killed.closeOutput();
  for (let calls = 0; calls < 15; calls++) {
    expect(await ticketSubject(first)).toBe("Kept from one start to the next");
    await delay(100);
  }

  const orphan = await postmasterPid();
  killed.signal("SIGKILL");
  // On the same port, which the orphaned child gives up.
  const again = bench.run([
    "dev",
    HELPDESK,
    "--port",
    new URL(first.url).port,
    "--data-dir",
    dataDir,
    "--json",
  ]);
  const line = await again.ready();
  expect(line.url).toBe(first.url);
  expect(await processStart(orphan)).toBeNull();
  expect(await ticketSubject(line)).toBe("Kept from one start to the next");

  // And when its PostgreSQL ends by itself it says so, and ends too.
  process.kill(await postmasterPid(), "SIGKILL");
  expect(await again.ended).toEqual({ status: 1, signal: null });
  expect(again.errorLines()).toContainEqual({
    event: "error",
    code: "embedded_failed",
    message: expect.stringContaining("SIGKILL"),
    remedy: "Start bulkhead dev again.",
  });
  await killed.ended;
});
