import type { BulkheadOptions } from "../bulkhead-options.ts";
import { Fault } from "../core/fault.ts";
import { parseSlug, parseTenantId } from "../core/ids.ts";
import { isPermissionPattern } from "../core/permission.ts";
import { type LocalServer, startLocalServer } from "../local-server.ts";
import type { TenantName } from "../tenancy/tenant-record.ts";
import { type Environment, forgetSecrets } from "./environment.ts";
import { goOnAfterFailures } from "./go-on-after-failures.ts";
import { loadServerModule } from "./load-server-module.ts";
import { messageOutput } from "./message-output.ts";
import { printNotice } from "./report-error.ts";
import { openSharedDatabase } from "./shared-database.ts";
import { onStopSignal } from "./stop-signals.ts";

export interface StdioOptions {
  readonly module: string;
  readonly tenant: string;
  readonly subject: string;
  /** Null: nothing was said. */
  readonly permissions: readonly string[] | null;
  readonly dataDir: string;
  readonly json: boolean;
  readonly logLevel: NonNullable<BulkheadOptions["logLevel"]>;
  readonly env: Environment;
}

/** A database to serve from. */
interface StdioDatabase {
  readonly url: string;
  readonly mode: "development" | "production";
  readonly lost: Promise<Fault>;
  close(): Promise<void>;
}

/** Characters of a subject, as of a token's. */
const MAX_SUBJECT = 255;

/**
 * `bulkhead stdio`: serves one tenant to the client that started it, on standard input and output, until the client closes
 * its end.
 * @returns the exit status.
 * @throws Fault for what keeps it from serving.
 */
export async function stdio(options: StdioOptions): Promise<number> {
  const tenant = readTenant(options.tenant);
  checkCaller(options);
  // First of all: whatever a module prints must not get between the messages.
  const output = messageOutput();
  const stop = new AbortController();
  const stopped = new Promise<null>((resolve) => {
    stop.signal.addEventListener("abort", () => resolve(null));
  });
  onStopSignal(
    () => stop.abort(),
    () => {},
  );
  const database = await openDatabase(options, stop.signal);
  forgetSecrets();
  let server: LocalServer | null = null;
  try {
    const module = await Promise.race([loadServerModule(options.module), stopped]);
    if (module === null) return 0;
    server = await startLocalServer({
      server: module,
      databaseUrl: database.url,
      mode: database.mode,
      migrate: database.mode === "development",
      log: process.stderr,
      logLevel: options.logLevel,
    });
    goOnAfterFailures(server);
    const { subject, permissions } = options;
    const client = { tenant, subject, permissions, input: process.stdin, output };
    const connection = await server.connect(client).catch((error: unknown) => {
      throw withRemedy(error);
    });
    const why = await Promise.race([connection.ended, stopped, database.lost]);
    await connection.close();
    if (why === null) return 0;
    throw withRemedy(
      why instanceof Fault ? why : new Fault(why.code, { detail: `It is ${options.tenant}.` }),
    );
  } finally {
    await server?.close();
    await database.close();
    await output.finish();
  }
}

/** As `serve` where DATABASE_URL is set, and as `dev` where it is not. */
async function openDatabase(options: StdioOptions, stop: AbortSignal): Promise<StdioDatabase> {
  const given = options.env.DATABASE_URL;
  if (given !== undefined && given !== "") {
    return { url: given, mode: "production", lost: new Promise(() => {}), close: async () => {} };
  }
  const { dataDir, json } = options;
  const notice = (text: string): void => printNotice(text, json);
  const database = await openSharedDatabase({ dataDir, stop, notice });
  return { ...database, mode: "development" };
}

function readTenant(text: string): TenantName {
  const tenant = parseTenantId(text) ?? parseSlug(text);
  if (tenant !== null) return tenant;
  throw withRemedy(new Fault("tenant_not_found", { detail: "No tenant can have that name." }));
}

/** The table's is for a client of the admin API. */
function withRemedy(error: unknown): unknown {
  if (!(error instanceof Fault) || error.code !== "tenant_not_found") return error;
  const remedy =
    "Give --tenant the slug or the id of a tenant. A module that names none of its own has acme and globex in development.";
  return new Fault(error.code, { ...(error.detail === undefined ? {} : { detail: error.detail }), remedy });
}

function checkCaller({ subject, permissions }: StdioOptions): void {
  const isSubject = subject.length > 0 && subject.length <= MAX_SUBJECT && !/\p{Cc}/u.test(subject);
  if (!isSubject) {
    throw new Fault("usage", {
      detail: `A subject has 1 to ${MAX_SUBJECT} characters, none of them for control.`,
    });
  }
  const wrong = permissions?.find((permission) => !isPermissionPattern(permission));
  if (wrong !== undefined) throw new Fault("usage", { detail: `${JSON.stringify(wrong)} is no permission.` });
}
