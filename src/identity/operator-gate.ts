import { createHash, timingSafeEqual } from "node:crypto";
import { Fault } from "../core/fault.ts";

/** Tells the operator's requests by their Authorization header. */
export interface OperatorGate {
  /** False where no operator token is configured: then nobody is the operator. */
  readonly configured: boolean;
  admits(authorization: string | undefined): boolean;
}

/** RFC 6750 section 2.1, b64token. */
const BEARER = /^Bearer +([A-Za-z0-9\-._~+/]+=*)$/i;
const TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/;
const MIN_LENGTH = 32;

/**
 * Keeps the token's hash only, and compares hashes in constant time: neither the time that it takes nor the length of a
 * guess says anything about the token.
 *
 * @throws Fault `setting_invalid` for a token that could be guessed, or that no header can carry.
 */
export function createOperatorGate(token: string | undefined): OperatorGate {
  if (token === undefined) return { configured: false, admits: () => false };
  if (token.length < MIN_LENGTH || !TOKEN.test(token)) {
    throw new Fault("setting_invalid", {
      detail: `The operator token must be at least ${MIN_LENGTH} characters of A-Z, a-z, 0-9 and "-._~+/".`,
    });
  }
  const expected = sha256(token);
  return {
    configured: true,
    admits(authorization) {
      const sent = BEARER.exec(authorization ?? "")?.[1];
      return sent !== undefined && timingSafeEqual(sha256(sent), expected);
    },
  };
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
