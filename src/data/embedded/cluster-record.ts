import { randomBytes } from "node:crypto";
import { open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../core/fault.ts";
import { systemErrorCode } from "./data-dir-fault.ts";

/** What a data directory knows of its cluster. Written, mode 0600, before the cluster is made. */
export interface ClusterRecord {
  /** Distinguishes clusters of data directories that had the same path one after the other. */
  readonly id: string;
  /** Where the cluster lies; null for inside the data directory. */
  readonly place: string | null;
  /** Of PostgreSQL's superuser. */
  readonly password: string;
}

/** The record's file in a data directory. */
export const RECORD_FILE = "postgresql.json";

/** A record with a new id and password. */
export function newRecord(): ClusterRecord {
  return {
    id: randomBytes(16).toString("hex"),
    place: null,
    password: randomBytes(24).toString("base64url"),
  };
}

/**
 * @returns null when there is none.
 * @throws Fault `embedded_failed` for a damaged one; the error of a failed file operation.
 */
export async function readRecord(dataDir: string): Promise<ClusterRecord | null> {
  const path = join(dataDir, RECORD_FILE);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    // ENOTDIR: what was a data directory once is now a file.
    if (["ENOENT", "ENOTDIR"].includes(systemErrorCode(error) ?? "")) {
      return null;
    }
    throw error;
  }
  const record = parseRecord(text);
  if (record === null) {
    throw new Fault("embedded_failed", {
      detail: `${path} is damaged; it contains the database's password.`,
      remedy: "Restore that file, or remove the data directory to start with an empty database.",
    });
  }
  return record;
}

export async function writeRecord(dataDir: string, record: ClusterRecord): Promise<void> {
  await replaceFile(join(dataDir, RECORD_FILE), JSON.stringify(record));
}

/** Replaces a file as a whole, with mode 0600, and durably: never seen half written, even after a loss of power. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const draft = `${path}.${randomBytes(6).toString("hex")}`;
  const file = await open(draft, "wx", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
}

function parseRecord(text: string): ClusterRecord | null {
  try {
    const { id, place, password } = JSON.parse(text) as Partial<Record<keyof ClusterRecord, unknown>>;
    const whole =
      typeof id === "string" &&
      /^[0-9a-f]{32}$/.test(id) &&
      (place === null || typeof place === "string") &&
      typeof password === "string" &&
      password.length >= 16;
    return whole ? { id, place, password } : null;
  } catch {
    return null;
  }
}
