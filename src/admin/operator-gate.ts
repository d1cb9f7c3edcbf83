import { createHash, timingSafeEqual } from "node:crypto";
import { Fault } from "../core/fault.ts";

// b64token of RFC 6750, section 2.1.
const BEARER = /^Bearer +([A-Za-z0-9\-._~+/]+=*)$/i;

/**
 * Tells the operator's requests by their Authorization header. Hashes are compared, in constant time: neither the time
 * that it takes nor the length of a guess says anything about the token.
 *
 * @param tokenHash SHA-256 of the operator token.
 * @throws Fault `setting_invalid` where it cannot be a SHA-256.
 */
export function createOperatorGate(tokenHash: Uint8Array): (authorization: string | undefined) => boolean {
  if (tokenHash.byteLength !== 32) {
    throw new Fault("setting_invalid", {
      detail: "The operator token's hash must be a SHA-256 of 32 bytes.",
    });
  }
  const expected = Uint8Array.from(tokenHash);
  return (authorization) => {
    const token = BEARER.exec(authorization ?? "")?.[1];
    return token !== undefined && timingSafeEqual(createHash("sha256").update(token).digest(), expected);
  };
}
