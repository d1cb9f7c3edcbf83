import { Command, Option } from "commander";
import { Fault } from "../core/fault.ts";
import { type AdminClient, createAdminClient, type ServerOptions } from "./admin-client.ts";
import { commandRemedy } from "./command-remedy.ts";
import type { Environment } from "./environment.ts";

/** What a command of the admin API is given. */
export interface AdminCommandContext {
  readonly env: Environment;
  /** Told the exit status. */
  readonly finish: (status: number) => void;
}

/** A command that talks to a server: with the options by which it is found. */
export function adminCommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .addOption(
      new Option(
        "--url <url>",
        "the server's URL (or BULKHEAD_URL), with a token in BULKHEAD_OPERATOR_TOKEN",
      ).conflicts("dataDir"),
    )
    .option(
      "--data-dir <directory>",
      "data directory of the bulkhead dev to use, which needs no URL and no token; .bulkhead where neither is given",
    )
    .option("--json", "print the result as one line of JSON");
}

/** The action of such a command: does the work and ends with status 0. */
export function withServer<O extends ServerOptions & { readonly tenant?: string }>(
  context: AdminCommandContext,
  work: (client: AdminClient, options: O, args: readonly string[]) => Promise<void>,
): (...given: unknown[]) => Promise<void> {
  return async (...given) => {
    // Commander gives the arguments, then the options, then the command.
    const options = given.at(-2) as O;
    const command = given.at(-1) as Command;
    const args = given.slice(0, -2).map(String);
    const client = createAdminClient(options, context.env);
    try {
      await work(client, options, args);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      const at = { command: `${command.parent?.name()} ${command.name()}`, tenant: options.tenant };
      const remedy = commandRemedy(error.code, at);
      if (remedy === null) throw error;
      throw new Fault(error.code, {
        remedy,
        cause: error.cause,
        ...(error.detail === undefined ? {} : { detail: error.detail }),
      });
    }
    context.finish(0);
  };
}

/** Collects an option that may be given several times. */
export function several(value: string, earlier: readonly string[] | undefined): readonly string[] {
  return [...(earlier ?? []), value];
}
