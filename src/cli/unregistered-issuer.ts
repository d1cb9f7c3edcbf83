import type { Answer } from "./admin-client.ts";
import { terminalText } from "./terminal-text.ts";

/** Says, beside the result, that the tenant does not know the issuer that was named: it may be misspelt. */
export function warnOfUnregisteredIssuer(tenant: string, answer: Answer): void {
  if (answer.issuerRegistered !== false) return;
  process.stderr.write(`${terminalText(tenant)} takes no tokens of this issuer\n`);
}
