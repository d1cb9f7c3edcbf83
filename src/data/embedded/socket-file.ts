import { join } from "node:path";

/** sockaddr_un.sun_path has 104 bytes on macOS and 108 on Linux, its closing NUL among them. */
export const LONGEST_SOCKET_PATH = 103;

/** The names of private socket folders below the system's temporary folder. */
export const PRIVATE_SOCKET_FOLDER = /^bulkhead-[A-Za-z0-9]{6}$/;

/** The socket of a server that listens in a folder. PostgreSQL takes the port for a part of its name. */
export function socketFile(folder: string, port: number): string {
  return join(folder, `.s.PGSQL.${port}`);
}
