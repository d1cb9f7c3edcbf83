#!/usr/bin/env node
import { fileURLToPath } from "node:url";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import type { BulkheadOptions } from "../bulkhead-options.ts";
import { VERSION } from "../version.ts";
import { accessCommand } from "./access-command.ts";
import { issuersCommand } from "./issuers-command.ts";
import { keysCommand } from "./keys-command.ts";
import { reportError } from "./report-error.ts";
import { tokensCommand } from "./tokens-command.ts";

const MAIN = fileURLToPath(import.meta.url);

type LogLevel = NonNullable<BulkheadOptions["logLevel"]>;

/**
 * Commands load what they need when they run, so that the supervisor stays small and `--help` is quick.
 * @param finish told the exit status of the command that ran.
 */
function program(finish: (status: number) => void): Command {
  const bulkhead = new Command("bulkhead")
    .description(
      "A multi-tenant MCP server: many customers from one deployment, each in a watertight compartment.",
    )
    .version(VERSION)
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .showHelpAfterError(false);

  bulkhead
    .command("dev")
    .description(
      "Run a server module on this machine, with its own PostgreSQL, issuers and demonstration tenants.",
    )
    .argument("[module]", "file that exports a server", "server.ts")
    .option("--port <number>", "port on 127.0.0.1; 0 for any free one", port, 8787)
    .option("--data-dir <directory>", "where the database and its keys are kept", ".bulkhead")
    .option("--json", "print one line of JSON when ready, and the log on standard error")
    .addOption(logLevel())
    .action(async (module: string, options: DevFlags) => {
      const { dev } = await import("./dev.ts");
      finish(
        await dev({
          main: MAIN,
          module,
          port: options.port,
          dataDir: options.dataDir,
          json: options.json === true,
          logLevel: options.logLevel,
          env: process.env,
        }),
      );
    });

  bulkhead
    .command("serve")
    .description("Serve a server module from the database in DATABASE_URL.")
    .argument("<module>", "file that exports a server")
    .option("--port <number>", "port to listen on", port, 8787)
    .option("--host <address>", "address to listen on", "127.0.0.1")
    .option("--public-url <url>", "URL under which clients reach this server (or BULKHEAD_PUBLIC_URL)")
    .option("--allow-host <host...>", "further Host values to serve")
    .option("--allow-origin <origin...>", "further Origin values to serve")
    .option("--allow-private-host <host...>", "identity providers' hosts that may have private addresses")
    .option("--json", "print one line of JSON when ready")
    .addOption(logLevel())
    .action(async (module: string, options: ServeFlags) => {
      const { serve } = await import("./serve.ts");
      finish(
        await serve({
          module,
          port: options.port,
          host: options.host,
          publicUrl: options.publicUrl,
          hosts: options.allowHost ?? [],
          origins: options.allowOrigin ?? [],
          privateHosts: options.allowPrivateHost ?? [],
          json: options.json === true,
          logLevel: options.logLevel,
          env: process.env,
        }),
      );
    });

  bulkhead
    .command("stdio")
    .description("Serve one tenant on standard input and output, to the MCP client that starts this command.")
    .argument("<module>", "file that exports a server")
    .requiredOption("--tenant <tenant>", "whom to serve: a slug or an id")
    .option("--subject <subject>", "as whom the client calls", "local")
    .option("--permissions <permissions>", "what the client may do, with commas between")
    .option("--data-dir <directory>", "where database and keys are kept, without DATABASE_URL", ".bulkhead")
    .option("--json", "print errors as JSON")
    .addOption(logLevel())
    .action(async (module: string, options: StdioFlags) => {
      const { stdio } = await import("./stdio.ts");
      finish(
        await stdio({
          module,
          tenant: options.tenant,
          subject: options.subject,
          permissions: options.permissions?.split(",").map((permission) => permission.trim()) ?? null,
          dataDir: options.dataDir,
          json: options.json === true,
          logLevel: options.logLevel,
          env: process.env,
        }),
      );
    });

  bulkhead
    .command("migrate")
    .description(
      "Bring the database in DATABASE_URL to this version, and to that of a server module's own tables.",
    )
    .argument("[module]", "file that exports a server")
    .option("--json", "print the result as JSON")
    .action(async (module: string | undefined, options: { json?: boolean }) => {
      const { runMigrate } = await import("./migrate.ts");
      finish(await runMigrate({ module, json: options.json === true, env: process.env }));
    });

  bulkhead
    .command("doctor")
    .description("Look whether the database in DATABASE_URL enforces isolation.")
    .option("--json", "print the findings as JSON")
    .action(async (options: { json?: boolean }) => {
      const { doctor } = await import("./doctor.ts");
      finish(await doctor({ json: options.json === true, env: process.env }));
    });

  const context = { env: process.env, finish };
  for (const make of [issuersCommand, keysCommand, tokensCommand, accessCommand]) {
    // Settings of the program do not reach commands that were made apart from it.
    const command = make(context).copyInheritedSettings(bulkhead);
    for (const part of command.commands) part.copyInheritedSettings(bulkhead);
    bulkhead.addCommand(command);
  }

  bulkhead.command("dev-child", { hidden: true }).action(async () => {
    const { devChild } = await import("./dev-child.ts");
    finish(await devChild());
  });

  return bulkhead;
}

interface DevFlags {
  readonly port: number;
  readonly dataDir: string;
  readonly json?: boolean;
  readonly logLevel: LogLevel;
}

interface ServeFlags {
  readonly port: number;
  readonly host: string;
  readonly publicUrl?: string;
  readonly allowHost?: string[];
  readonly allowOrigin?: string[];
  readonly allowPrivateHost?: string[];
  readonly json?: boolean;
  readonly logLevel: LogLevel;
}

interface StdioFlags {
  readonly tenant: string;
  readonly subject: string;
  readonly permissions?: string;
  readonly dataDir: string;
  readonly json?: boolean;
  readonly logLevel: LogLevel;
}

/** Why single requests were refused is said at `debug` alone: whoever sends them decides how many there are. */
function logLevel(): Option {
  return new Option("--log-level <level>", "debug adds each refusal with its cause")
    .choices(["debug", "info", "warn", "error", "silent"])
    .default("info");
}

function port(text: string): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  if (value < 0 || value > 65_535) throw new InvalidArgumentError("A port is a number from 0 to 65535.");
  return value;
}

/** Ends the process, whatever a module has left running, once everything is written. */
function exit(status: number): void {
  process.stdout.write("", () => process.stderr.write("", () => process.exit(status)));
}

// Whoever reads may go away (`bulkhead dev --json | head -1`): that ends no server.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

const json = process.argv.includes("--json");
let status = 0;
try {
  await program((ended) => {
    status = ended;
  }).parseAsync();
} catch (error) {
  // Help and the version were asked for and printed.
  if (!(error instanceof CommanderError && error.exitCode === 0)) status = reportError(error, json);
}
exit(status);
