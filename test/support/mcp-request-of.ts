import type { McpRequest } from "../../src/protocol/mcp-request.ts";

/** A request of the current revision whose envelope was checked; what is not said is as plain as can be. */
export function mcpRequestOf(said: Pick<McpRequest, "method"> & Partial<McpRequest>): McpRequest {
  return {
    id: 1,
    params: {},
    name: null,
    revision: "2026-07-28",
    client: { name: null, version: null, capabilities: {} },
    logLevel: null,
    progressToken: null,
    trace: null,
    headers: {},
    session: null,
    ...said,
  };
}
