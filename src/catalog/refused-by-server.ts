import type { Refusal } from "../core/refusal.ts";

/** A server that was written elsewhere answered a request with an error: the call ends with it. */
export class RefusedByServer extends Error {
  override readonly name = "RefusedByServer";
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super("The adopted server answered with an error.");
    this.refusal = refusal;
  }
}
