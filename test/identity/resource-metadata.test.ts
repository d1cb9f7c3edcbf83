import { describe, expect, test } from "vitest";
import type { ErrorCode } from "../../src/core/error-table.ts";
import {
  type AuthenticationScheme,
  challenge,
  metadataUrlFor,
  resourceMetadata,
} from "../../src/identity/resource-metadata.ts";

const resource = "https://mcp.example.com/t/acme/mcp";

test("the document repeats the resource and has no empty arrays", () => {
  expect(
    resourceMetadata({
      resource,
      authorizationServers: ["https://as.example"],
      scopes: ["a:b", "offline_access", "a:b"],
      name: "Acme",
    }),
  ).toEqual({
    resource,
    authorization_servers: ["https://as.example"],
    bearer_methods_supported: ["header"],
    scopes_supported: ["a:b"],
    resource_name: "Acme",
  });
  expect(
    resourceMetadata({ resource, authorizationServers: ["https://as.example"], scopes: [], name: "" }),
  ).toEqual({
    resource,
    authorization_servers: ["https://as.example"],
    bearer_methods_supported: ["header"],
  });
});

test("without an authorization server there is no document", () => {
  expect(resourceMetadata({ resource, authorizationServers: [], scopes: ["a"], name: "Acme" })).toBeNull();
});

test("a resource that takes bound tokens says how proofs may be signed, and whether only those are taken", () => {
  const of = (dpop: "off" | "allow" | "require") =>
    resourceMetadata({ resource, authorizationServers: ["https://as.example"], scopes: [], name: "", dpop });
  const plain = {
    resource,
    authorization_servers: ["https://as.example"],
    bearer_methods_supported: ["header"],
  };
  const dpop_signing_alg_values_supported = ["ES256", "ES384", "ES512", "EdDSA", "Ed25519", "PS256", "RS256"];
  expect(of("off")).toEqual(plain);
  expect(of("allow")).toEqual({ ...plain, dpop_signing_alg_values_supported });
  expect(of("require")).toEqual({
    ...plain,
    dpop_signing_alg_values_supported,
    dpop_bound_access_tokens_required: true,
  });
});

test("the well-known part goes between host and path", () => {
  expect(metadataUrlFor(resource)).toBe(
    "https://mcp.example.com/.well-known/oauth-protected-resource/t/acme/mcp",
  );
  expect(metadataUrlFor("http://127.0.0.1:8787/mcp")).toBe(
    "http://127.0.0.1:8787/.well-known/oauth-protected-resource/mcp",
  );
  expect(metadataUrlFor("https://mcp.example.com/")).toBe(
    "https://mcp.example.com/.well-known/oauth-protected-resource",
  );
});

const metadataUrl = metadataUrlFor(resource);

test("missing credentials are answered without an error code", () => {
  const bare = `Bearer resource_metadata="${metadataUrl}"`;
  expect(challenge({ metadataUrl })).toBe(bare);
  expect(challenge({ metadataUrl, code: "credentials_missing", text: "not sent without an error" })).toBe(
    bare,
  );
  expect(challenge({ metadataUrl, scopes: ["a:r", "offline_access", "a:w", "a:r"] })).toBe(
    `Bearer scope="a:r a:w", resource_metadata="${metadataUrl}"`,
  );
});

test.each([
  ["token_invalid", "invalid_token"],
  ["credentials_ended", "invalid_token"],
  ["credentials_malformed", "invalid_request"],
  ["scope_insufficient", "insufficient_scope"],
  ["tenant_suspended", "access_denied"],
] as const)("%s is %s", (code, error) => {
  expect(challenge({ metadataUrl, code, text: "Why." })).toBe(
    `Bearer error="${error}", error_description="Why.", resource_metadata="${metadataUrl}"`,
  );
});

describe("a challenge of more than one scheme", () => {
  const bearer = `resource_metadata="${metadataUrl}"`;
  const dpop = `algs="ES256 ES384 ES512 EdDSA Ed25519 PS256 RS256", resource_metadata="${metadataUrl}"`;
  const ask = (code: ErrorCode, ...schemes: AuthenticationScheme[]) =>
    challenge({ metadataUrl, code, schemes });

  test("names each, Bearer first, and the algorithms of proofs", () => {
    for (const schemes of [["Bearer", "DPoP"] as const, ["DPoP", "Bearer"] as const]) {
      expect(ask("credentials_missing", ...schemes)).toBe(`Bearer ${bearer}, DPoP ${dpop}`);
    }
    expect(ask("credentials_missing", "DPoP")).toBe(`DPoP ${dpop}`);
  });

  test("has the error once: with the first scheme, or with DPoP where the proof is wrong", () => {
    expect(ask("token_invalid", "Bearer", "DPoP")).toBe(
      `Bearer error="invalid_token", ${bearer}, DPoP ${dpop}`,
    );
    expect(ask("token_invalid", "DPoP", "Bearer")).toBe(
      `Bearer ${bearer}, DPoP error="invalid_token", ${dpop}`,
    );
    expect(ask("dpop_proof_invalid", "Bearer", "DPoP")).toBe(
      `Bearer ${bearer}, DPoP error="invalid_dpop_proof", ${dpop}`,
    );
  });

  test("names the scopes in each", () => {
    expect(challenge({ metadataUrl, scopes: ["a:r"], schemes: ["Bearer", "DPoP"] })).toBe(
      `Bearer scope="a:r", ${bearer}, DPoP ${dpop.replace(", ", ', scope="a:r", ')}`,
    );
  });
});

test("nothing breaks out of a quoted value", () => {
  const header = challenge({
    metadataUrl: 'https://x.example/"evil',
    code: "scope_insufficient",
    scopes: ['a"b', "ok", "c d", "e\\f", ""],
    text: 'say "hi"\r\nSet-Cookie: a=b; \u00e9\\',
  });
  expect(header).toBe(
    'Bearer error="insufficient_scope", error_description="say ?hi???Set-Cookie: a=b; ??", scope="ok", resource_metadata="https://x.example/?evil"',
  );
});
