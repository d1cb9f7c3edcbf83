import { Fault } from "../core/fault.ts";

/** The environment as a command was given it. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** @throws Fault `database_url_missing` */
export function databaseUrl(env: Environment): string {
  const url = env.DATABASE_URL;
  if (url === undefined || url === "") throw new Fault("database_url_missing");
  return url;
}

/** Takes secrets out of this process's environment, so that a tool's code and its children do not find them there. */
export function forgetSecrets(): void {
  delete process.env.DATABASE_URL;
  delete process.env.BULKHEAD_OPERATOR_TOKEN;
  delete process.env.BULKHEAD_MASTER_KEY;
}
