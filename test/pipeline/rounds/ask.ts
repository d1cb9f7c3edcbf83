import { type HttpAnswer, META, mcpMessage, send } from "../../support/mcp-request.ts";

/** What a client can do that can do everything. */
export const EVERYTHING = {
  elicitation: { form: {}, url: {} },
  sampling: { tools: {}, context: {} },
  roots: {},
};

/** What a request has besides its method. */
export type Params = Readonly<Record<string, unknown>>;

/** Sends a request as a client with these capabilities. */
export function ask(
  { url, token, capabilities = EVERYTHING }: { url: string; token: string; capabilities?: Params },
  method: string,
  params: Params,
): Promise<HttpAnswer> {
  const { headers } = mcpMessage(token, method, { ...params });
  const _meta = { ...META, "io.modelcontextprotocol/clientCapabilities": capabilities };
  const body = JSON.stringify({ jsonrpc: "2.0", id: 7, method, params: { ...params, _meta } });
  return send(url, { headers, body });
}

/** What a next round says. */
export function round(before: HttpAnswer, inputResponses: Params): Params {
  return { requestState: before.json.result.requestState, inputResponses };
}

/** The only text of a tool's result. */
export function textOf({ json }: HttpAnswer): string {
  return json.result.content[0].text;
}
