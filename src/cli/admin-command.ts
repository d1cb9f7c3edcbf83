import { Command } from "commander";
import { type AdminClient, createAdminClient, type ServerOptions } from "./admin-client.ts";
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
    .option("--url <url>", "the server's URL, with the token in BULKHEAD_OPERATOR_TOKEN (or BULKHEAD_URL)")
    .option("--data-dir <directory>", "of the bulkhead dev that runs on this machine", ".bulkhead")
    .option("--json", "print the result as JSON");
}

/** The action of such a command: does the work and ends with status 0. */
export function withServer<O extends ServerOptions>(
  context: AdminCommandContext,
  work: (client: AdminClient, options: O, args: readonly string[]) => Promise<void>,
): (...given: unknown[]) => Promise<void> {
  return async (...given) => {
    // Commander gives the arguments, then the options, then the command.
    const options = given.at(-2) as O;
    const args = given.slice(0, -2).map(String);
    const client = createAdminClient(options, context.env);
    await work(client, options, args);
    context.finish(0);
  };
}

/** Collects an option that may be given several times. */
export function several(value: string, earlier: readonly string[] | undefined): readonly string[] {
  return [...(earlier ?? []), value];
}
