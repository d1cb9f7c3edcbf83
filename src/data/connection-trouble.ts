/**
 * True for errors that say nothing about the statement but that the server or the way to it is gone: Node's socket
 * errors, no answer in time, and SQLSTATE classes 08 (connection), 57P (shutdown) and 53300 (too many connections).
 */
export function isConnectionTrouble(error: unknown): boolean {
  if (typeof error !== "object" || error === null) return false;
  const code = (error as { code?: unknown }).code;
  if (typeof code === "string") return /^(08...|57P..|53300|ECONN\w+|EPIPE|ENOENT|ETIMEDOUT)$/.test(code);
  return (
    error instanceof Error &&
    /connection terminated|not queryable|connection error|query read timeout|timeout exceeded/i.test(
      error.message,
    )
  );
}
