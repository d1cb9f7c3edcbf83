import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";

/** RFC 7677 asks for 4,096 at least; it is also PostgreSQL's own. */
const ITERATIONS = 4_096;

/**
 * What PostgreSQL keeps of a password (RFC 5803, RFC 7677). Sent instead of the password, it puts no password into the
 * server's log, where a failing ALTER ROLE would leave it.
 *
 * @param password ASCII: SASLprep would not change it.
 */
export function scramVerifier(password: string, salt: Buffer = randomBytes(16)): string {
  const salted = pbkdf2Sync(password, salt, ITERATIONS, 32, "sha256");
  const keyed = (text: string): Buffer => createHmac("sha256", salted).update(text).digest();
  const storedKey = createHash("sha256").update(keyed("Client Key")).digest("base64");
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString("base64")}$${storedKey}:${keyed("Server Key").toString("base64")}`;
}
