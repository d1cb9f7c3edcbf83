import type { Credential, Setting, TestTenant } from "./setting.ts";

/** One way to take a credential away, and what else the tenant's callers have. */
export interface RevocationRow {
  readonly name: string;
  /** What its bearer is answered afterwards. */
  readonly refused: readonly [status: number, code: string];
  begin(tenant: TestTenant, at: Setting): Promise<Case>;
}

export interface Case {
  /** The credential that must end. */
  readonly ending: Credential;
  /** Another one of the tenant, which must not; null where all of the tenant's end. */
  readonly staying: Credential | null;
  readonly change: readonly [method: string, path: string, body?: unknown];
}

const INVALID = [401, "token_invalid"] as const;

const revocation = (
  name: string,
  row: (
    tenant: TestTenant,
    at: Setting,
  ) => Omit<Case, "change"> & { readonly revoke: Readonly<Record<string, unknown>> },
): RevocationRow => ({
  name,
  refused: INVALID,
  async begin(tenant, at) {
    const { revoke, ...credentials } = row(tenant, at);
    return { ...credentials, change: ["POST", `/tenants/${tenant.slug}/revocations`, revoke] };
  },
});

/** Seconds since 1970. */
const secondsAgo = (seconds: number): number => Math.floor(Date.now() / 1000) - seconds;

export const ROWS: readonly RevocationRow[] = [
  revocation("one token is revoked", (tenant) => ({
    ending: tenant.token({ claims: { jti: "lost" } }),
    staying: tenant.token({ claims: { jti: "kept" } }),
    revoke: { issuer: tenant.issuer, jti: "lost" },
  })),
  revocation("a subject is revoked", (tenant) => ({
    ending: tenant.token({ claims: { sub: "mallory" } }),
    staying: tenant.token({ claims: { sub: "grace" } }),
    revoke: { issuer: tenant.issuer, subject: "mallory" },
  })),
  revocation("a subject of one issuer is revoked, not its namesake of the other", (tenant) => ({
    ending: tenant.token({ claims: { sub: "mallory" } }),
    staying: tenant.tokenOf({ issuer: tenant.otherIssuer }, { claims: { sub: "mallory" } }),
    revoke: { issuer: tenant.issuer, subject: "mallory" },
  })),
  revocation("a signing key is revoked", (tenant, at) => ({
    ending: tenant.token(),
    staying: tenant.tokenOf({ key: at.secondKey }),
    revoke: { issuer: tenant.issuer, keyId: "k1" },
  })),
  revocation("whatever the tenant's callers were given before a moment is revoked", (tenant) => ({
    ending: tenant.token({ claims: { iat: secondsAgo(120) } }),
    staying: tenant.token(),
    revoke: { notBefore: secondsAgo(60) },
  })),
  {
    name: "an API key is deleted",
    refused: INVALID,
    async begin(tenant) {
      await tenant.change("PATCH", `/tenants/${tenant.slug}`, { apiKeys: true });
      const ending = await tenant.apiKey();
      const staying = await tenant.apiKey();
      return { ending, staying, change: ["DELETE", `/tenants/${tenant.slug}/keys/${ending.id}`] };
    },
  },
  {
    name: "API keys are turned off",
    refused: INVALID,
    async begin(tenant) {
      await tenant.change("PATCH", `/tenants/${tenant.slug}`, { apiKeys: true });
      const ending = await tenant.apiKey();
      return {
        ending,
        staying: tenant.token(),
        change: ["PATCH", `/tenants/${tenant.slug}`, { apiKeys: false }],
      };
    },
  },
  {
    name: "an issuer's registration is deleted",
    refused: INVALID,
    async begin(tenant) {
      const { items } = await tenant.change("GET", `/tenants/${tenant.slug}/issuers`);
      const own = (items as { id: string; issuer: string }[]).find((one) => one.issuer === tenant.issuer);
      return {
        ending: tenant.token(),
        staying: tenant.tokenOf({ issuer: tenant.otherIssuer }),
        change: ["DELETE", `/tenants/${tenant.slug}/issuers/${own?.id}`],
      };
    },
  },
  {
    name: "a tenant's mapping of a broker is deleted",
    refused: INVALID,
    async begin(tenant) {
      const ending = await tenant.brokerToken();
      return {
        ending,
        staying: tenant.token(),
        change: ["DELETE", `/tenants/${tenant.slug}/issuers/${ending.brokerId}`],
      };
    },
  },
  {
    name: "proofs of possession become required",
    refused: INVALID,
    async begin(tenant) {
      await tenant.change("PATCH", `/tenants/${tenant.slug}`, { dpop: "allow" });
      return {
        ending: tenant.token(),
        staying: tenant.boundToken(),
        change: ["PATCH", `/tenants/${tenant.slug}`, { dpop: "require" }],
      };
    },
  },
  {
    name: "proofs of possession are turned off",
    refused: INVALID,
    async begin(tenant) {
      await tenant.change("PATCH", `/tenants/${tenant.slug}`, { dpop: "allow" });
      return {
        ending: tenant.boundToken(),
        staying: tenant.token(),
        change: ["PATCH", `/tenants/${tenant.slug}`, { dpop: "off" }],
      };
    },
  },
  {
    name: "the tenant is suspended",
    refused: [403, "tenant_suspended"],
    begin: async (tenant) => ({
      ending: tenant.token(),
      staying: null,
      change: ["POST", `/tenants/${tenant.slug}/suspend`],
    }),
  },
  {
    name: "the tenant is deleted",
    refused: [404, "route_unknown"],
    begin: async (tenant) => ({
      ending: tenant.token(),
      staying: null,
      change: ["DELETE", `/tenants/${tenant.id}`],
    }),
  },
];
