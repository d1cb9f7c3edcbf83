import { chown, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fault } from "../../core/fault.ts";
import type { ClusterPlace } from "./cluster-place.ts";
import { LONGEST_SOCKET_PATH, socketFile } from "./socket-file.ts";

/** Where a server listens: on a socket in a private folder, or, on Windows, on TCP at the loopback interface. */
export interface ListenAddress {
  /** A folder, or 127.0.0.1. */
  readonly host: string;
  /** Of a socket only a part of its name. */
  readonly port: number;
  /** Removes what was made for this run only. */
  remove(): Promise<void>;
}

/** @param port null for any. */
export async function openListenAddress(place: ClusterPlace, port: number | null): Promise<ListenAddress> {
  return process.platform === "win32"
    ? { host: "127.0.0.1", port: port ?? (await freePort()), remove: async () => {} }
    : openSocketFolder(place, port ?? 5432);
}

/** The place's own folder, or a short one when the path of a socket there would be too long. */
async function openSocketFolder(place: ClusterPlace, port: number): Promise<ListenAddress> {
  const own = join(place.directory, "run");
  if (Buffer.byteLength(socketFile(own, port)) <= LONGEST_SOCKET_PATH) {
    return { host: own, port, remove: async () => {} };
  }
  const host = await mkdtemp(join(shortTemporaryFolder(port), "bulkhead-"));
  if (place.runAs !== null) {
    await chown(host, place.runAs.uid, place.runAs.gid);
  }
  return { host, port, remove: () => rm(host, { recursive: true, force: true }) };
}

function shortTemporaryFolder(port: number): string {
  const configured = tmpdir();
  const socket = socketFile(join(configured, "bulkhead-XXXXXX"), port);
  return Buffer.byteLength(socket) <= LONGEST_SOCKET_PATH ? configured : "/tmp";
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (address === null || typeof address === "string") {
    throw new Fault("embedded_failed", { detail: "There is no free port on 127.0.0.1." });
  }
  return address.port;
}
