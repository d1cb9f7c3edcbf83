import { type HttpAnswer, META, mcpMessage, send } from "../../support/mcp-request.ts";

const CAPABILITIES = "io.modelcontextprotocol/clientCapabilities";
export const TASKS = { extensions: { "io.modelcontextprotocol/tasks": {} } };

// biome-ignore lint/suspicious/noExplicitAny: tests read whatever the wire has, and assert what it must be.
type Json = any;

/** A client that knows tasks, and forms. */
export class TaskClient {
  readonly #url: string;
  readonly #token: string;
  readonly #capabilities: Readonly<Record<string, unknown>>;

  constructor(
    url: string,
    token: string,
    capabilities: Readonly<Record<string, unknown>> = { elicitation: {}, ...TASKS },
  ) {
    this.#url = url;
    this.#token = token;
    this.#capabilities = capabilities;
  }

  send(method: string, params: Record<string, unknown>, signal?: AbortSignal): Promise<HttpAnswer> {
    const { headers } = mcpMessage(this.#token, method, { name: params.taskId, ...params });
    const _meta = { ...META, [CAPABILITIES]: this.#capabilities };
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { ...params, _meta } });
    return send(this.#url, { headers, body, ...(signal === undefined ? {} : { signal }) });
  }

  async call(name: string, args: Record<string, unknown> = {}, more = {}): Promise<Json> {
    return (await this.send("tools/call", { name, arguments: args, ...more })).json;
  }

  /** Makes a task and gives its id. */
  async begin(name: string, args: Record<string, unknown> = {}): Promise<string> {
    const { result, error } = await this.call(name, args);
    if (result?.resultType !== "task") throw new TypeError(`No task: ${JSON.stringify(error ?? result)}`);
    return result.taskId;
  }

  async get(taskId: string): Promise<Json> {
    const { result, error } = (await this.send("tasks/get", { taskId })).json;
    if (result === undefined) throw new TypeError(`No task: ${JSON.stringify(error)}`);
    return result;
  }

  async update(taskId: string, inputResponses: unknown): Promise<Json> {
    return (await this.send("tasks/update", { taskId, inputResponses })).json;
  }

  async cancel(taskId: string): Promise<Json> {
    return (await this.send("tasks/cancel", { taskId })).json;
  }

  /** The task, once it has this status. */
  async until(taskId: string, status: string): Promise<Json> {
    for (let tries = 0; tries < 400; tries++) {
      const task = await this.get(taskId);
      if (task.status === status) return task;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error(`The task ${taskId} is not ${status}: ${JSON.stringify(await this.get(taskId))}`);
  }
}
