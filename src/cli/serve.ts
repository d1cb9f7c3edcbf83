import type { BulkheadOptions } from "../bulkhead-options.ts";
import { Fault } from "../core/fault.ts";
import { createBulkhead } from "../server.ts";
import { databaseUrl, type Environment, forgetSecrets } from "./environment.ts";
import { goOnAfterFailures } from "./go-on-after-failures.ts";
import { loadServerModule } from "./load-server-module.ts";
import { onStopSignal } from "./stop-signals.ts";

/**
 * `bulkhead serve`: an instance in production. Resolves when it was told to stop and has stopped.
 * @returns the exit status.
 * @throws Fault for what keeps it from serving.
 */
export async function serve(options: {
  readonly module: string;
  readonly port: number;
  readonly host: string;
  readonly publicUrl: string | undefined;
  readonly hosts: readonly string[];
  readonly origins: readonly string[];
  readonly privateHosts: readonly string[];
  readonly json: boolean;
  readonly logLevel: NonNullable<BulkheadOptions["logLevel"]>;
  readonly env: Environment;
}): Promise<number> {
  const url = databaseUrl(options.env);
  const publicUrl = options.publicUrl ?? options.env.BULKHEAD_PUBLIC_URL;
  if (publicUrl === undefined || publicUrl === "") {
    throw new Fault("setting_invalid", {
      detail: "The URL under which clients reach this server is not given.",
      remedy: "Give --public-url or BULKHEAD_PUBLIC_URL, for example https://mcp.example.com.",
    });
  }
  const operatorToken = options.env.BULKHEAD_OPERATOR_TOKEN;
  const masterKey = options.env.BULKHEAD_MASTER_KEY;
  forgetSecrets();
  const stopped = new Promise<void>((resolve) => onStopSignal(resolve));
  const server = await Promise.race([loadServerModule(options.module), stopped]);
  if (server === undefined) return 0;
  const bulkhead = createBulkhead({
    server,
    databaseUrl: url,
    publicUrl,
    hosts: options.hosts,
    origins: options.origins,
    privateHosts: options.privateHosts,
    logLevel: options.logLevel,
    ...(masterKey === undefined || masterKey === "" ? {} : { masterKey }),
    ...(operatorToken === undefined || operatorToken === "" ? {} : { operatorToken }),
  });
  goOnAfterFailures(bulkhead);
  try {
    const port = await Promise.race([bulkhead.listen(options.port, options.host), stopped]);
    if (port === undefined) return 0;
    const { origin } = new URL(publicUrl);
    process.stdout.write(
      options.json
        ? `${JSON.stringify({ event: "ready", url: origin, mcp: `${origin}/mcp`, listening: { host: options.host, port } })}\n`
        : `bulkhead serves ${options.module} on ${options.host}:${port} as ${origin}\n`,
    );
    await stopped;
    return 0;
  } finally {
    await bulkhead.close();
  }
}
