import { createHash, timingSafeEqual } from "node:crypto";
import { Fault } from "../core/fault.ts";

/** Knows the operator's token, by its hash. */
export interface OperatorGate {
  /** SHA-256 of the token; null where none is configured. */
  readonly tokenHash: Uint8Array | null;
  /** Whether an Authorization header carries the token. Takes the same time for every wrong one. */
  admits(authorization: string | undefined): boolean;
}

const MIN_LENGTH = 32;

/** @throws Fault `setting_invalid` for a token that could be guessed. */
export function createOperatorGate(token: string | undefined): OperatorGate {
  if (token === undefined) return { tokenHash: null, admits: () => false };
  if (token.length < MIN_LENGTH) {
    throw new Fault("setting_invalid", {
      detail: `The operator token must have at least ${MIN_LENGTH} characters.`,
    });
  }
  const tokenHash = sha256(token);
  return {
    tokenHash,
    admits(authorization) {
      const sent = /^Bearer +(\S+)$/i.exec(authorization ?? "")?.[1];
      return sent !== undefined && timingSafeEqual(sha256(sent), tokenHash);
    },
  };
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
