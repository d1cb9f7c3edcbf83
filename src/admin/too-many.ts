import { type Refusal, refuse } from "../core/refusal.ts";

/** Says which of an issuer's two bounds was met. */
export function tooMany(of: "issuers" | "introspecting issuers"): Refusal {
  return refuse("too_many", {
    detail:
      of === "issuers"
        ? "There are as many issuers as there may be."
        : "There is an issuer whose tokens are introspected already; an opaque token does not say whose it is.",
  });
}
