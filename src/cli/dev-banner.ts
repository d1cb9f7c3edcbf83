import type { ReadyLine } from "./dev-messages.ts";

/** What `bulkhead dev` prints for people: where everything is, a token for each tenant, and what to paste. */
export function devBanner(
  line: ReadyLine,
  more: {
    readonly module: string;
    readonly logFile: string;
    /** Where the data are; null for the database in DATABASE_URL. */
    readonly dataDir: string | null;
  },
): string {
  const first = line.tenants[0];
  const places: [string, string][] = [
    ...line.tenants.map((tenant): [string, string] => [`MCP of ${tenant.slug} (${tenant.plan})`, tenant.mcp]),
    ["MCP of whichever tenant the token is for", line.mcp],
    ["Admin API", line.admin.url],
    ["Operator token, for the admin API", line.admin.token],
    ["Data", more.dataDir ?? "the database in DATABASE_URL"],
    ["Log, a line of JSON for each call", more.logFile],
  ];
  const width = Math.max(...places.map(([name]) => name.length));
  const parts = [
    "",
    `bulkhead serves ${more.module} on this machine only, for development.`,
    "",
    ...places.map(([name, place]) => `  ${name.padEnd(width)}  ${place}`),
    "",
    "Access tokens for the tenants' own URLs. They last an hour; the next start prints new ones, and --json prints those",
    "of all users and for the shared URL. A client that can sign in (OAuth) needs no token: give it the URL.",
    ...line.tenants.flatMap(({ slug, token, users }) => [
      "",
      `  ${slug}, as ${users[0]?.name ?? "its first user"}:`,
      `  ${token}`,
    ]),
  ];
  if (first !== undefined) {
    parts.push(
      "",
      `To use ${first.slug} in an MCP client that speaks 2026-07-28, paste into its configuration:`,
      "",
      JSON.stringify(clientConfiguration(first), null, 2).replace(/^/gm, "  "),
      "",
      "To see that it works, ask for the list of tools:",
      "",
      curl(first.mcp, first.token),
    );
  }
  parts.push(
    "",
    "It starts again by itself when the module changes. Ctrl-C stops it; the data are kept.",
    "",
    "",
  );
  return parts.join("\n");
}

/** As most clients write it: a name, and under it the endpoint. */
function clientConfiguration(tenant: ReadyLine["tenants"][number]): object {
  const { slug, mcp, token } = tenant;
  return {
    mcpServers: { [slug]: { type: "http", url: mcp, headers: { Authorization: `Bearer ${token}` } } },
  };
}

/** One command that works as printed in a POSIX shell: nothing in it contains a quote. */
function curl(url: string, token: string): string {
  const body = {
    jsonrpc: "2.0",
    id: 1,
    method: "tools/list",
    params: {
      _meta: {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
      },
    },
  };
  return [
    `curl -sS ${url}`,
    `-H 'Authorization: Bearer ${token}'`,
    "-H 'Content-Type: application/json'",
    "-H 'Accept: application/json, text/event-stream'",
    "-H 'MCP-Protocol-Version: 2026-07-28'",
    "-H 'Mcp-Method: tools/list'",
    `-d '${JSON.stringify(body)}'`,
  ].join(" \\\n  ");
}
