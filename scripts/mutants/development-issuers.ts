import type { Mutant } from "./mutant.ts";

/** The development authorization server. */
export const developmentIssuers: readonly Mutant[] = [
  {
    name: "the development authorization server is made in production",
    file: "src/identity/development/authorization-server.ts",
    from: 'if (options.mode !== "development") {',
    to: 'if (options.baseUrl === "") {',
    tests: ["test/identity/development/issuers.test.ts"],
  },
  {
    name: "an account of the broker has no tenant",
    file: "src/identity/development/development-issuer.ts",
    from: "issuer.broker ? `${user.tenantId}/${user.subject}` : user.subject",
    to: "user.subject",
    tests: ["test/identity/development/issuers.test.ts", "test/pipeline/development-issuers.test.ts"],
  },
  {
    name: "a development issuer serves any resource",
    file: "src/identity/development/issuer-provider.ts",
    from: "if (resource !== issuer.resource) throw new library.errors.InvalidTarget();",
    to: "void resource;",
    tests: ["test/identity/development/authorization-code.test.ts"],
  },
  {
    name: "PKCE is not required",
    file: "src/identity/development/issuer-provider.ts",
    from: "pkce: { required: () => true }",
    to: "pkce: { required: () => false }",
    tests: ["test/identity/development/authorization-code.test.ts"],
  },
  {
    name: "refresh tokens are not rotated",
    file: "src/identity/development/issuer-provider.ts",
    from: "rotateRefreshToken: () => true",
    to: "rotateRefreshToken: () => false",
    tests: ["test/identity/development/refresh-tokens.test.ts"],
  },
  {
    name: "a sign-in form may come from another site",
    file: "src/identity/development/interaction-handler.ts",
    from: "if (origin !== undefined && origin !== new URL(issuer.issuer).origin) {",
    to: 'if (origin === "") {',
    tests: ["test/identity/development/sign-in-page.test.ts"],
  },
  {
    name: "a code is used up many times",
    file: "src/data/development-storage.ts",
    from: " AND NOT payload ? 'consumed'",
    to: "",
    tests: ["test/data/development-storage.test.ts"],
  },
];
