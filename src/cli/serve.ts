import { Fault } from "../core/fault.ts";
import { createBulkhead } from "../server.ts";
import { databaseUrl, type Environment, forgetSecrets } from "./environment.ts";
import { loadServerModule } from "./load-server-module.ts";
import { onStopSignal } from "./stop-signals.ts";

/** `bulkhead serve`: an instance in production. */
export async function serve(options: {
  readonly module: string;
  readonly port: number;
  readonly host: string;
  readonly publicUrl: string | undefined;
  readonly hosts: readonly string[];
  readonly origins: readonly string[];
  readonly json: boolean;
  readonly env: Environment;
}): Promise<void> {
  const url = databaseUrl(options.env);
  const publicUrl = options.publicUrl ?? options.env.BULKHEAD_PUBLIC_URL;
  if (publicUrl === undefined || publicUrl === "") {
    throw new Fault("setting_invalid", {
      detail: "No public URL is given.",
      remedy: "Give --public-url, for example https://mcp.example.com.",
    });
  }
  const operatorToken = options.env.BULKHEAD_OPERATOR_TOKEN;
  forgetSecrets();
  const bulkhead = createBulkhead({
    server: await loadServerModule(options.module),
    databaseUrl: url,
    publicUrl,
    hosts: options.hosts,
    origins: options.origins,
    ...(operatorToken === undefined || operatorToken === "" ? {} : { operatorToken }),
  });
  try {
    const port = await bulkhead.listen(options.port, options.host);
    onStopSignal(() => void bulkhead.close());
    const origin = new URL(publicUrl).origin;
    if (options.json) {
      process.stdout.write(
        `${JSON.stringify({ event: "ready", url: origin, mcp: `${origin}/mcp`, listening: { host: options.host, port } })}\n`,
      );
    } else {
      process.stdout.write(`bulkhead serves ${options.module} on ${options.host}:${port} as ${origin}\n`);
    }
  } catch (error) {
    await bulkhead.close();
    throw error;
  }
}
