import type { LivingLink } from "../../src/tenancy/living-call.ts";

const nobody = (): Promise<never> => Promise.reject(new TypeError("There is no client to ask."));

/** The link of a context that has no client. */
export const silentLink: LivingLink = {
  client: { name: null, version: null, revision: "2026-07-28", can: () => false },
  trace: null,
  progress: () => {},
  message: () => {},
  elicit: nobody,
  sample: nobody,
  roots: nobody,
  step: async (_key, run) => run(),
  detach: () => {},
  live: nobody,
};
