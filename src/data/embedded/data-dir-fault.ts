import { Fault } from "../../core/fault.ts";

/** The fault for a failed file operation on the data directory or on what belongs to it; any other error as it is. */
export function dataDirFault(path: string, cause: unknown): unknown {
  if (cause instanceof Fault || systemErrorCode(cause) === undefined) {
    return cause;
  }
  return new Fault("data_dir_unwritable", { detail: `${path} (${reasonOf(cause)}).`, cause });
}

/** The code of a failed system call, `ENOENT` for example; undefined for anything else that was thrown. */
export function systemErrorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

function reasonOf(cause: unknown): string {
  const code = systemErrorCode(cause);
  switch (code) {
    case "EACCES":
    case "EPERM":
      return "permission denied";
    case "EROFS":
      return "the file system is read-only";
    case "ENOSPC":
      return "no space left";
    case "ENOTDIR":
    case "EEXIST":
      return "a file is in the way";
    default:
      return code ?? String(cause);
  }
}
