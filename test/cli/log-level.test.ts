import { afterAll, expect, test } from "vitest";
import { freePort } from "../../src/cli/free-port.ts";
import { connectionSettings } from "../../src/data/connection-settings.ts";
import { migrate } from "../../src/data/migrate.ts";
import { mcp } from "../support/mcp-request.ts";
import { createCommandBench, fixture } from "./bulkhead-command.ts";
import { createEmptyDatabase } from "./empty-database.ts";

const bench = createCommandBench();
const database = await createEmptyDatabase();
afterAll(async () => {
  await bench.close();
  await database.drop();
});

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
const TOKEN = `${part({ alg: "ES256" })}.${part({ iss: "https://evil.example" })}.${part({ made: "up" })}`;

test("--log-level debug tells why a request was refused, without its token; by default that is not told", async () => {
  await migrate(connectionSettings(database.url), { mode: "production" });
  for (const [options, told] of [
    [["--log-level", "debug"], ["iss is not an issuer allowed here"]],
    [[], []],
  ] as const) {
    const port = await freePort(0);
    const url = `http://127.0.0.1:${port}`;
    const command = bench.run(
      [
        ...["serve", fixture("tools-of-the-process.ts"), "--json", "--port", String(port)],
        ...["--public-url", url, ...options],
      ],
      { env: { DATABASE_URL: database.url } },
    );
    await command.ready();
    expect((await mcp(`${url}/mcp`, TOKEN, "tools/list")).status).toBe(401);
    command.signal("SIGTERM");
    await command.ended;
    const refusals = command.errorLines().filter((line) => line.event === "refusal");
    expect(refusals.map((line) => line.cause)).toEqual(told);
    for (const secret of TOKEN.split(".")) expect(command.stderr()).not.toContain(secret);
  }
});
