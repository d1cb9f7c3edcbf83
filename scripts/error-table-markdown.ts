import { writeFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import { ERROR_TABLE } from "../src/core/error-table.ts";

const PAGE = new URL("../docs/errors.md", import.meta.url);

/** docs/errors.md as the error table has it. `node --import tsx scripts/error-table-markdown.ts` writes it. */
export function errorTableMarkdown(): string {
  const rows = Object.entries(ERROR_TABLE).map(
    ([code, row]) => `| \`${code}\` | ${row.http ?? ""} | ${row.rpc ?? ""} | ${row.text} | ${row.remedy} |`,
  );
  return [
    "# Errors",
    "",
    "Every refusal and fault has a stable code. Over MCP it is `error.data.code` of a JSON-RPC error, beside `remedy`; in the",
    "admin API it is `code` of an RFC 9457 problem; the command line prints it on standard error. A code without an HTTP status",
    "is told by the command line, at start, or to a tool's own code. HTTP 200 with a JSON-RPC code is an error of the operation,",
    "not of the request. A text never says whether another tenant has what was asked for.",
    "",
    "JSON-RPC codes -32768 to -32000 are those of JSON-RPC 2.0 and MCP; Bulkhead's own are -31000 minus the HTTP status.",
    "",
    "| code | HTTP | JSON-RPC | text | remedy |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
    "",
  ].join("\n");
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href)
  await writeFile(PAGE, errorTableMarkdown());
