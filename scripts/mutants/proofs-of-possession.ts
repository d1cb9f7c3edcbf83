import type { Mutant } from "./mutant.ts";

/** Proofs of possession (RFC 9449). */
export const proofsOfPossession: readonly Mutant[] = [
  {
    name: "a second DPoP header is overlooked",
    file: "src/identity/dpop-proof.ts",
    from: 'if (second !== undefined) return invalid("more than one DPoP header");',
    to: "",
    tests: ["test/identity/dpop-proof.test.ts"],
  },
  {
    name: "a proof by any key counts",
    file: "src/identity/dpop-proof.ts",
    from: "if (thumbprint !== wanted.boundTo) return",
    to: "if (thumbprint === null) return",
    tests: ["test/identity/dpop-proof.test.ts"],
  },
  {
    name: "a proof's signature is not verified",
    file: "src/identity/dpop-proof.ts",
    from: "await compactVerify(proof, key, { algorithms: [header.alg] });",
    to: "void compactVerify; void key;",
    tests: ["test/identity/dpop-proof.test.ts"],
  },
  {
    name: "a proof for any method counts",
    file: "src/identity/dpop-proof.ts",
    from: 'if (own(payload, "htm") !== wanted.method) return',
    to: 'if (own(payload, "htm") === undefined) return',
    tests: ["test/identity/dpop-proof.test.ts"],
  },
  {
    name: "a proof for any path counts",
    file: "src/identity/dpop-proof.ts",
    from: "url.origin + url.pathname",
    to: "url.origin",
    tests: ["test/identity/dpop-proof.test.ts"],
  },
  {
    name: "a proof never grows old",
    file: "src/identity/dpop-proof.ts",
    from: 'if (age > MAX_AGE_SECONDS) return "iat is too long ago";',
    to: "",
    tests: ["test/identity/dpop-proof.test.ts"],
  },
  {
    name: "a proof for any token counts",
    file: "src/identity/dpop-proof.ts",
    from: 'if (own(payload, "ath") !== hash("sha256", wanted.token, "base64url")) return',
    to: 'if (own(payload, "ath") === undefined) return',
    tests: ["test/identity/dpop-proof.test.ts"],
  },
  {
    name: "a proof counts once on each instance",
    file: "src/identity/dpop-proof.ts",
    from: "      return await remember(tenantId, digest, expiresAt);",
    to: "      await remember(tenantId, digest, expiresAt);\n      return true;",
    tests: ["test/identity/dpop-replay.test.ts"],
  },
  {
    name: "a proof that could not be remembered counts",
    file: "src/identity/dpop-proof.ts",
    from: "      throw error;",
    to: "      return true;",
    tests: ["test/identity/dpop-replay.test.ts"],
  },
  {
    name: "a proof is forgotten too early",
    file: "src/identity/dpop-proof.ts",
    from: "(claims.iat + MAX_AGE_SECONDS + MARGIN_SECONDS)",
    to: "(claims.iat)",
    tests: ["test/identity/dpop-replay.test.ts"],
  },
  {
    name: "proofs are looked at for nothing",
    file: "src/identity/authenticator.ts",
    from: "if (over !== null) return over;",
    to: "void over;",
    tests: ["test/identity/authenticator-credentials.test.ts"],
  },
];
