import { resolve } from "node:path";
import { errorRow, isErrorCode } from "../core/error-table.ts";
import { Fault } from "../core/fault.ts";
import { isLoopback } from "../protocol/host-guard.ts";
import type { Environment } from "./environment.ts";
import { readServerFile } from "./server-file.ts";
import { terminalText } from "./terminal-text.ts";

/** Options of every command that talks to a server. */
export interface ServerOptions {
  readonly url?: string;
  readonly dataDir?: string;
  readonly json?: boolean;
}

/** What the admin API answered: a JSON object. */
export type Answer = Readonly<Record<string, unknown>>;

/** The admin API of one server, as its operator or a tenant's administrator. */
export interface AdminClient {
  /**
   * @param path below /admin/v1, its parts encoded.
   * @throws Fault `server_unreachable`, `admin_token_missing` or `setting_invalid` where there is no server to talk to, or with the code, the text and the
   *   remedy of the server's answer; `admin_refused` where it has another code.
   */
  call(method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE", path: string, body?: object): Promise<Answer>;
  /** Every item of a paged list. */
  list(path: string): Promise<readonly Answer[]>;
}

/** A server to talk to. */
interface FoundServer {
  readonly base: string;
  readonly token: string;
  /** For messages. */
  readonly name: string;
}

const DEFAULT_DATA_DIR = ".bulkhead";
const TIMEOUT_SECONDS = 30;
/** Longest answer that is read, in bytes: a page of 200 things. */
const MAX_ANSWER = 16 * 1_048_576;
/** More pages than any list has: a server that always names another would keep us for ever. */
const MAX_PAGES = 1_000;

/**
 * The server is looked for at the first call: `--url` or BULKHEAD_URL, or the `bulkhead dev` that serves from the data
 * directory. The token is that in BULKHEAD_OPERATOR_TOKEN; where there is none, the data directory's own. A token is never an argument: other users of the machine see those.
 */
export function createAdminClient(options: ServerOptions, env: Environment): AdminClient {
  let found: Promise<FoundServer> | undefined;

  const call: AdminClient["call"] = async (method, path, body) => {
    found ??= findServer(options, env);
    const server = await found;
    const response = await send(server, path, {
      method,
      // Whoever redirects must not make us carry the token elsewhere.
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT_SECONDS * 1_000),
      headers: {
        authorization: `Bearer ${server.token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (response.status >= 300 && response.status < 400) {
      throw new Fault("server_unreachable", {
        detail: `${server.name} redirects elsewhere, and the token was sent nowhere else.`,
        remedy: "Give the URL under which the server itself answers.",
      });
    }
    const answer = await readAnswer(response);
    if (!response.ok) throw refused(response.status, answer);
    if (answer === null) throw notAnAdminApi();
    return answer;
  };

  return {
    call,
    async list(path) {
      const items: Answer[] = [];
      let cursor: string | null = null;
      for (let page = 0; page < MAX_PAGES; page++) {
        const query = new URLSearchParams({ limit: "200", ...(cursor === null ? {} : { cursor }) });
        const answer: Answer = await call("GET", `${path}?${query}`);
        if (!Array.isArray(answer.items)) break;
        items.push(...answer.items.filter(isObject));
        if (typeof answer.nextCursor !== "string") return items;
        cursor = answer.nextCursor;
      }
      throw notAnAdminApi();
    },
  };
}

/** For an answer without what it must have: nothing of it may count as a success. */
export function notAnAdminApi(status?: number): Fault {
  const answers = status === undefined ? "What answers" : `What answers, with status ${status},`;
  return new Fault("server_unreachable", {
    detail: `${answers} is not Bulkhead's admin API.`,
    remedy: "Check the URL: it is that of the server, for example https://mcp.example.com.",
  });
}

/** A path below /admin/v1 in which placed values are single segments, whatever they contain. */
export function adminPath(strings: TemplateStringsArray, ...values: readonly string[]): string {
  return strings.reduce((path, part, index) => path + encodeURIComponent(values[index - 1] ?? "") + part);
}

async function findServer(options: ServerOptions, env: Environment): Promise<FoundServer> {
  // What is said on the command line holds before what the environment says.
  const given = options.url ?? (options.dataDir === undefined ? env.BULKHEAD_URL : undefined);
  if (given !== undefined && given !== "") {
    const token = givenToken(env);
    if (token === null) throw new Fault("admin_token_missing");
    const base = adminUrl(given);
    return { base, token, name: base };
  }
  const dataDir = resolve(options.dataDir ?? DEFAULT_DATA_DIR);
  const file = await readServerFile(dataDir);
  if (file === null) {
    throw new Fault("server_unreachable", {
      detail: `No bulkhead dev serves from ${dataDir}.`,
      remedy: "Start bulkhead dev, name its --data-dir, or give a server's URL with --url or BULKHEAD_URL.",
    });
  }
  const base = adminUrl(file.url);
  const token = givenToken(env);
  // Whoever prepared the directory must not be sent a token that is for another server.
  if (token !== null && !isLoopback(new URL(base).hostname)) {
    throw new Fault("setting_invalid", {
      detail: `The server of ${dataDir} is not on this machine: BULKHEAD_OPERATOR_TOKEN is not sent to it.`,
      remedy: "Give the server's URL with --url or BULKHEAD_URL.",
    });
  }
  return { base, token: token ?? file.token, name: `The bulkhead dev of ${dataDir}, at ${base},` };
}

/** @throws Fault `setting_invalid` for what cannot stand in a header: the platform's own error would quote it. */
function givenToken({ BULKHEAD_OPERATOR_TOKEN: token }: Environment): string | null {
  if (token === undefined || token === "") return null;
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new Fault("setting_invalid", {
    detail: "BULKHEAD_OPERATOR_TOKEN has a character that no token has, such as a space or a line break.",
  });
}

function adminUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const safe = url?.protocol === "https:" || (url?.protocol === "http:" && isLoopback(url.hostname));
  if (!safe || `${url.username}${url.password}${url.search}${url.hash}` !== "") {
    throw new Fault("setting_invalid", {
      detail: "The server's URL must be https, or http to this machine, and have no user and no query.",
      remedy: "Give it as https://mcp.example.com, with --url or BULKHEAD_URL.",
    });
  }
  return `${url.href.replace(/\/(admin\/v1\/?)?$/, "")}/admin/v1`;
}

async function send({ base, name }: FoundServer, path: string, request: RequestInit): Promise<Response> {
  try {
    return await fetch(`${base}${path}`, request);
  } catch (cause) {
    const inTime =
      cause instanceof Error && cause.name === "TimeoutError"
        ? ` within ${TIMEOUT_SECONDS} s`
        : reason(cause);
    throw new Fault("server_unreachable", { detail: `${name} does not answer${inTime}.`, cause });
  }
}

/** The system's or the platform's own word for it, such as ECONNREFUSED or CERT_HAS_EXPIRED. */
function reason(cause: unknown): string {
  const within = cause instanceof Error ? cause.cause : null;
  return isObject(within) && typeof within.code === "string" ? ` (${within.code})` : "";
}

async function readAnswer(response: Response): Promise<Answer | null> {
  try {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of response.body ?? []) {
      size += chunk.byteLength;
      if (size > MAX_ANSWER) return null;
      chunks.push(chunk);
    }
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"));
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Answer {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The server's own words, under its own code where this version knows it. */
function refused(status: number, problem: Answer | null): Fault {
  const text = (name: string): string | undefined => {
    const value = problem?.[name];
    return typeof value === "string" ? terminalText(value) : undefined;
  };
  const code = text("code");
  // Every problem of ours has one; a proxy's page, or another server's answer, has none.
  if (code === undefined) return notAnAdminApi(status);
  const detail = text("detail") ?? text("title") ?? `It answered with status ${status}.`;
  const remedy = text("remedy");
  const more = remedy === undefined ? {} : { remedy };
  // Nor under a code that no server answers with: `usage` has an exit status of its own.
  if (!isErrorCode(code) || errorRow(code).http === null) {
    return new Fault("admin_refused", { detail, ...more });
  }
  return new Fault(code, { ...(detail === errorRow(code).text ? {} : { detail }), ...more });
}
