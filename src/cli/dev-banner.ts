import type { ReadyLine } from "./dev-messages.ts";

/** What `bulkhead dev` prints for people: where everything is, a token for each tenant, and what to paste. */
export function devBanner(
  line: ReadyLine,
  more: { readonly module: string; readonly logFile: string },
): string {
  const first = line.tenants[0];
  const parts = [
    `bulkhead serves ${more.module}`,
    "",
    `  MCP, tenant from the token   ${line.mcp}`,
    ...line.tenants.map((tenant) => `  MCP of ${`${tenant.slug} (${tenant.plan})`.padEnd(22)}${tenant.mcp}`),
    `  Admin API                    ${line.admin.url}`,
    `  Operator token               ${line.admin.token}`,
    `  Log, one JSON line a call    ${more.logFile}`,
    "",
    "Tokens, good for an hour (development only):",
    ...line.tenants.flatMap((tenant) => [
      "",
      `  ${tenant.slug}, as ${tenant.users[0]?.name ?? "its first user"}`,
      `  ${tenant.token}`,
    ]),
  ];
  if (first !== undefined) {
    const config = {
      mcpServers: {
        [first.slug]: { type: "http", url: first.mcp, headers: { Authorization: `Bearer ${first.token}` } },
      },
    };
    parts.push(
      "",
      "Paste into a client's configuration:",
      "",
      JSON.stringify(config, null, 2).replace(/^/gm, "  "),
      "",
      "Or ask by hand for the list of tools:",
      "",
      curl(first.mcp, first.token),
    );
  }
  parts.push("", "Ctrl-C stops it. The server starts again when the module changes.", "");
  return parts.join("\n");
}

/** One command that works as printed in a POSIX shell. */
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
