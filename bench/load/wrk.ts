import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { HttpRequest, LoadGenerator, LoadOrder } from "./load-generator.ts";
import { runGenerator } from "./run-generator.ts";

/**
 * Requests are read from a file, whole, each after its length on a line of its own: sending one is then a look-up in a
 * table. A handler for answers is left out on purpose, since wrk would build a table of headers for each.
 */
const script = (file: string): string => `
local all = {}
local input = assert(io.open(${JSON.stringify(file)}, "rb"))
while true do
  local length = input:read("*n")
  if length == nil then break end
  input:read(1)
  all[#all + 1] = input:read(length)
end
input:close()
local at = 0
function request()
  at = at % #all + 1
  return all[at]
end
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('\\n{"requests":%d,"microseconds":%d,"status":%d,"failed":%d,"p50":%d,"p99":%d}\\n',
    summary.requests, summary.duration, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
`;

interface WrkReport {
  readonly requests: number;
  readonly microseconds: number;
  readonly status: number;
  readonly failed: number;
  readonly p50: number;
  readonly p99: number;
}

export function wrk(version: string): LoadGenerator {
  return {
    description: `wrk ${version}, one thread`,
    async run(order: LoadOrder) {
      const { origin, requests, connections, seconds, scratch } = order;
      const port = new URL(origin).port;
      const file = join(scratch, `wrk-${port}.requests`);
      const lua = join(scratch, `wrk-${port}.lua`);
      await writeFile(file, Buffer.concat(requests.map((request) => record(request, new URL(origin).host))));
      await writeFile(lua, script(file));
      const command = ["wrk", "-t1", `-c${connections}`, `-d${seconds}s`, "-s", lua, origin];
      const report = (await runGenerator(command, order)) as WrkReport;
      return {
        perSecond: report.requests / (report.microseconds / 1e6),
        p50Ms: report.p50 / 1000,
        p99Ms: report.p99 / 1000,
        failed: report.status + report.failed,
      };
    },
  };
}

function record(request: HttpRequest, host: string): Buffer {
  const body = Buffer.from(request.body);
  const headers = { host, ...request.headers, "content-length": String(body.length) };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const bytes = Buffer.concat([Buffer.from(`POST ${request.path} HTTP/1.1\r\n${lines.join("")}\r\n`), body]);
  return Buffer.concat([Buffer.from(`${bytes.length}\n`), bytes]);
}
