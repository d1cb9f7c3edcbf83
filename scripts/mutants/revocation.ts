import type { Mutant } from "./mutant.ts";

/** Revocation, on every instance. */
export const revocation: readonly Mutant[] = [
  {
    name: "lost notifications are not made up for in time",
    file: "src/instance.ts",
    from: "const POLL_MS = 500;",
    to: "const POLL_MS = 4_500;",
    tests: ["test/pipeline/revocation-everywhere.test.ts"],
  },
  {
    name: "what is open does not follow the configuration",
    file: "src/instance.ts",
    from: "directory.onChange((tenantId) => follower.changed(tenantId));",
    to: "",
    tests: ["test/pipeline/revocation-everywhere.test.ts"],
  },
  {
    name: "a stream outlives its API key",
    file: "src/identity/acceptance.ts",
    from: "return key !== undefined && counts(key, snapshot, clock.now());",
    to: "return key === undefined || counts(key, snapshot, clock.now());",
    tests: ["test/pipeline/revocation-everywhere.test.ts"],
  },
  {
    name: "a stream outlives the mode of its token",
    file: "src/identity/acceptance.ts",
    from: 'credential.bound ? snapshot.dpop === "off" :',
    to: "credential.bound ? false :",
    tests: ["test/pipeline/revocation-everywhere.test.ts"],
  },
  {
    name: "a stream outlives its issuer's registration",
    file: "src/identity/acceptance.ts",
    from: "if (before === undefined || after === undefined || !isSameRegistration(before, after)) return false;",
    to: "",
    tests: ["test/pipeline/revocation-everywhere.test.ts"],
  },
  {
    name: "a request waits while warm keys are read again",
    file: "src/identity/key-sets.ts",
    from: "if (age <= UNHURRIED_MS || record.failures > 0) {",
    to: "if (record.failures > 0) {",
    tests: ["test/pipeline/keys-under-load.test.ts"],
  },
  {
    name: "keys count for half a day while the endpoint is down",
    file: "src/identity/key-sets.ts",
    from: "const STALE_MS = 3_600_000;",
    to: "const STALE_MS = 36_000_000;",
    tests: ["test/pipeline/keys-under-load.test.ts"],
  },
];
