import { resolve } from "node:path";
import { errorRow, isErrorCode } from "../core/error-table.ts";
import { Fault } from "../core/fault.ts";
import { isLoopback } from "../protocol/host-guard.ts";
import type { Environment } from "./environment.ts";
import { readServerFile } from "./server-file.ts";

/** Options of every command that talks to a server. */
export interface ServerOptions {
  readonly url?: string;
  readonly dataDir: string;
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

const TIMEOUT_MS = 30_000;

/**
 * The server is looked for at the first call: `--url` or BULKHEAD_URL with the token in BULKHEAD_OPERATOR_TOKEN, or the `bulkhead dev` that serves
 * from the data directory. A token is never an argument: other users of the machine see those.
 */
export function createAdminClient(options: ServerOptions, env: Environment): AdminClient {
  let found: ReturnType<typeof findServer> | undefined;

  const call: AdminClient["call"] = async (method, path, body) => {
    found ??= findServer(options, env);
    const { base, token } = await found;
    let response: Response;
    try {
      response = await fetch(`${base}${path}`, {
        method,
        // The token goes nowhere else.
        redirect: "error",
        signal: AbortSignal.timeout(TIMEOUT_MS),
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (cause) {
      throw new Fault("server_unreachable", { detail: `Nothing answers at ${base}.`, cause });
    }
    const answer = await readAnswer(response);
    if (!response.ok) throw refused(response.status, answer);
    if (answer === null) throw new Fault("server_unreachable", { detail: `${base} is not an admin API.` });
    return answer;
  };

  return {
    call,
    async list(path) {
      const items: Answer[] = [];
      let cursor: unknown;
      do {
        const page: Answer = await call(
          "GET",
          `${path}?limit=200${typeof cursor === "string" ? `&cursor=${encodeURIComponent(cursor)}` : ""}`,
        );
        if (Array.isArray(page.items)) items.push(...(page.items as Answer[]));
        cursor = page.nextCursor;
      } while (typeof cursor === "string");
      return items;
    },
  };
}

/** A path below /admin/v1 in which placed values are single segments, whatever they contain. */
export function adminPath(strings: TemplateStringsArray, ...values: readonly string[]): string {
  return strings.reduce((path, part, index) => path + encodeURIComponent(values[index - 1] ?? "") + part);
}

async function findServer(
  options: ServerOptions,
  env: Environment,
): Promise<{ readonly base: string; readonly token: string }> {
  const given = options.url ?? env.BULKHEAD_URL;
  const token = env.BULKHEAD_OPERATOR_TOKEN;
  if (given !== undefined && given !== "") {
    if (token === undefined || token === "") throw new Fault("admin_token_missing");
    return { base: adminUrl(given), token };
  }
  const dataDir = resolve(options.dataDir);
  const file = await readServerFile(dataDir);
  if (file === null) {
    throw new Fault("server_unreachable", { detail: `No bulkhead dev serves from ${dataDir}.` });
  }
  return { base: adminUrl(file.url), token: file.token };
}

function adminUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const safe = url?.protocol === "https:" || (url?.protocol === "http:" && isLoopback(url.hostname));
  if (url === null || !safe || url.username !== "" || url.search !== "" || url.hash !== "") {
    throw new Fault("setting_invalid", {
      detail: "The server's URL must begin with https, or be a loopback address.",
    });
  }
  return `${url.href.replace(/\/(admin\/v1\/?)?$/, "")}/admin/v1`;
}

async function readAnswer(response: Response): Promise<Answer | null> {
  try {
    const value: unknown = await response.json();
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Answer) : null;
  } catch {
    return null;
  }
}

/** The server's own words, under its own code where this version knows it. */
function refused(status: number, problem: Answer | null): Fault {
  const text = (name: string): string | undefined => {
    const value = problem?.[name];
    return typeof value === "string" ? value : undefined;
  };
  const code = text("code") ?? "";
  const detail = text("detail") ?? text("title") ?? `It answered with status ${status}.`;
  const remedy = text("remedy");
  const more = remedy === undefined ? {} : { remedy };
  if (!isErrorCode(code)) return new Fault("admin_refused", { detail, ...more });
  return new Fault(code, { ...(detail === errorRow(code).text ? {} : { detail }), ...more });
}
