import { renameSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** Where a running `bulkhead dev` serves, for the other commands: kept in its data directory, readable by its user alone. */
export interface ServerFile {
  readonly url: string;
  /** The operator token of this run. */
  readonly token: string;
}

const NAME = "server.json";

/** @returns null where no server says that it serves from this directory. */
export async function readServerFile(dataDir: string): Promise<ServerFile | null> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(join(dataDir, NAME), "utf8"));
  } catch {
    return null;
  }
  return isServerFile(value) ? { url: value.url, token: value.token } : null;
}

/** At once, so that it is there before anybody is told that the server serves; and whole or not at all. */
export function writeServerFile(dataDir: string, file: ServerFile): void {
  const path = join(dataDir, NAME);
  writeFileSync(`${path}.new`, `${JSON.stringify(file)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

export function removeServerFile(dataDir: string): void {
  rmSync(join(dataDir, NAME), { force: true });
}

function isServerFile(value: unknown): value is ServerFile {
  return (
    typeof value === "object" &&
    value !== null &&
    "url" in value &&
    typeof value.url === "string" &&
    "token" in value &&
    typeof value.token === "string"
  );
}
