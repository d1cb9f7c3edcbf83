import { readdir, readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { errorTableMarkdown } from "../../scripts/error-table-markdown.ts";
import { ERROR_TABLE } from "../../src/core/error-table.ts";

/** Code, HTTP status, JSON-RPC code: what programs rely on. A change here is a change of the outside contract. */
const PINNED = [
  "host_refused 403 -31403",
  "route_unknown 404 -31404",
  "method_not_allowed 405 -31405",
  "body_too_large 413 -31413",
  "body_timeout 408 -31408",
  "body_consumed 500 -31500",
  "media_type_refused 415 -31415",
  "not_acceptable 406 -31406",
  "rate_limited 429 -31429",
  "credentials_missing 401 -31401",
  "token_invalid 401 -31401",
  "credentials_malformed 400 -31400",
  "dpop_proof_invalid 401 -31401",
  "credentials_ended 401 -31401",
  "scope_insufficient 403 -31403",
  "tenant_suspended 403 -31403",
  "keys_unavailable 503 -31503",
  "introspection_unavailable 503 -31503",
  "configuration_stale 503 -31503",
  "database_unavailable 503 -31503",
  "audit_unavailable 503 -31503",
  "stopping 503 -31503",
  "placement_elsewhere 503 -31503",
  "parse_error 400 -32700",
  "message_invalid 400 -32600",
  "method_unknown 404 -32601",
  "envelope_invalid 400 -32602",
  "header_mismatch 400 -32020",
  "version_unsupported 400 -32022",
  "client_capability_missing 400 -32021",
  "request_state_invalid 400 -32602",
  "session_missing 400 -32600",
  "stream_unknown 400 -32600",
  "session_unknown 404 -32600",
  "params_invalid 200 -32602",
  "tool_unknown 200 -32602",
  "resource_unknown 200 -32602",
  "task_unknown 200 -32602",
  "task_lost 200 -32603",
  "prompt_unknown 200 -32602",
  "cursor_invalid 200 -32602",
  "cancelled 200 -31499",
  "call_timed_out 200 -31504",
  "url_elicitation_required 200 -32042",
  "handler_failed 200 -32603",
  "internal 500 -32603",
  "operator_token_required 401 null",
  "operator_only 403 null",
  "administrator_required 403 null",
  "input_invalid 400 null",
  "input_too_large 413 null",
  "tenant_not_found 404 null",
  "plan_not_found 404 null",
  "issuer_not_found 404 null",
  "key_not_found 404 null",
  "revocation_not_found 404 null",
  "role_assignment_not_found 404 null",
  "issuer_refused 409 null",
  "keys_off 409 null",
  "too_many 409 null",
  "master_key_missing 409 null",
  "slug_taken 409 null",
  "plan_in_use 409 null",
  "version_conflict 412 null",
  "sql_refused null null",
  "sql_failed null null",
  "context_missing null null",
  "store_key_invalid null null",
  "store_value_invalid null null",
  "usage null null",
  "server_unreachable null null",
  "admin_token_missing null null",
  "admin_refused null null",
  "module_not_found null null",
  "module_failed null null",
  "module_has_no_server null null",
  "server_invalid null null",
  "schema_unrepresentable null null",
  "port_taken null null",
  "data_dir_in_use null null",
  "data_dir_unwritable null null",
  "embedded_missing null null",
  "embedded_failed null null",
  "database_url_missing null null",
  "database_not_development null null",
  "database_is_development null null",
  "database_not_migrated null null",
  "isolation_broken null null",
  "setting_invalid null null",
  "migration_failed null null",
];

test("codes, statuses and JSON-RPC codes are what programs rely on", () => {
  expect(Object.entries(ERROR_TABLE).map(([code, row]) => `${code} ${row.http} ${row.rpc}`)).toEqual(PINNED);
});

test("every code is used somewhere", async () => {
  const sources = await readdir(new URL("../../src/", import.meta.url), { recursive: true });
  const texts = await Promise.all(
    sources
      .filter((name) => name.endsWith(".ts") && !name.endsWith("error-table.ts"))
      .map((name) => readFile(new URL(`../../src/${name}`, import.meta.url), "utf8")),
  );
  const all = texts.join("\n");
  expect(Object.keys(ERROR_TABLE).filter((code) => !all.includes(`"${code}"`))).toEqual([]);
});

test("every row has a text and a remedy that are sentences", () => {
  for (const [code, row] of Object.entries(ERROR_TABLE)) {
    expect([code, row.text]).toEqual([code, expect.stringMatching(/^[A-Z].*\.$/s)]);
    expect([code, row.remedy]).toEqual([code, expect.stringMatching(/^[A-Za-z].*\.$/s)]);
  }
});

test("our own JSON-RPC codes lie outside the ranges that JSON-RPC and MCP reserve", () => {
  const ofTheSpecification = new Set([
    -32700, -32600, -32601, -32602, -32603, -32020, -32021, -32022, -32042,
  ]);
  for (const row of Object.values(ERROR_TABLE)) {
    if (row.rpc === null || ofTheSpecification.has(row.rpc)) continue;
    expect(row.rpc).toBeGreaterThan(-32000);
  }
});

test("docs/errors.md carries the same table", async () => {
  const document = await readFile(new URL("../../docs/errors.md", import.meta.url), "utf8");
  expect(document).toBe(errorTableMarkdown());
});
