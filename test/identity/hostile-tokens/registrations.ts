/** The tenants of the table. acme and globex are the help desk's; the others have nothing but their issuers. */
export const TENANTS = [
  { slug: "acme", dpop: "off", status: "active" },
  { slug: "globex", dpop: "off", status: "active" },
  { slug: "bound", dpop: "allow", status: "active" },
  { slug: "strict", dpop: "require", status: "active" },
  { slug: "closed", dpop: "off", status: "suspended" },
  { slug: "open", dpop: "off", status: "active" },
  { slug: "asking", dpop: "allow", status: "active" },
  { slug: "renewed", dpop: "off", status: "active" },
] as const;

export type TenantSlug = (typeof TENANTS)[number]["slug"];

interface Registration {
  /** Null: a broker. */
  readonly tenant: TenantSlug | null;
  /** Which of the identity providers has its keys; `bad` misbehaves, `asked` answers questions about opaque tokens. */
  readonly idp: "first" | "second" | "third" | "broker" | "bad" | "asked";
  /** Default: the key set of its identity provider. */
  readonly jwksUri?: string;
  /** Absent: the issuer belongs to its tenant, and its tokens name none. */
  readonly claim?: string;
  readonly claimForm?: "text" | "single";
  /** Of a broker: the value in its good tokens. */
  readonly value?: string;
  readonly audience?: string;
  readonly otherAudiences?: readonly string[];
  readonly scopeClaims?: readonly string[];
  readonly rolesClaim?: readonly string[];
  readonly algorithms?: readonly string[];
  readonly tokenType?: string;
  readonly maxLifetimeSeconds?: number;
}

const own = { tenant: "acme", idp: "first", claim: "tenant_id", value: "acme-org" } as const;
const bad = { ...own, idp: "bad" } as const;

const NAMED = {
  acme: own,
  second: { ...own, idp: "second" },
  globex: { tenant: "globex", idp: "third", claim: "tenant_id", value: "globex-org" },
  broker: { tenant: null, idp: "broker", claim: "org_id", value: "org-acme" },
  bound: { tenant: "bound", idp: "first", claim: "tenant_id", value: "bound-org" },
  strict: { tenant: "strict", idp: "first", claim: "tenant_id", value: "strict-org" },
  closed: { tenant: "closed", idp: "first", claim: "tenant_id", value: "closed-org" },
  // As closed, and not suspended.
  open: { tenant: "open", idp: "first", claim: "tenant_id", value: "open-org" },
  renewed: { tenant: "renewed", idp: "first", claim: "tenant_id", value: "renewed-org" },
  asked: { tenant: "asking", idp: "asked", claim: "tenant_id", value: "asking-org" },
  // How acme's other issuers differ from the first.
  jwt: { ...own, tokenType: "JWT" },
  untyped: { ...own, tokenType: "absent" },
  rsa: { ...own, algorithms: ["RS256"] },
  // A registration that allows what must never be allowed.
  careless: { ...own, algorithms: ["RS256", "HS256", "none"] },
  unclaimed: { tenant: "acme", idp: "first" },
  single: { ...own, claim: "organization", claimForm: "single" },
  audience: { ...own, audience: "api://acme", otherAudiences: ["https://idp.example/userinfo"] },
  lists: { ...own, scopeClaims: ["scp", "permissions"] },
  roles: { ...own, rolesClaim: ["realm_access", "roles"] },
  short: { ...own, maxLifetimeSeconds: 60 },
  // Its one key was revoked; of `second`, which has the same, it was not.
  revoked: { ...own, idp: "second" },
  // As those below, and its keys can be read.
  readable: bad,
  // Whose keys cannot be read.
  slow: bad,
  huge: bad,
  redirecting: bad,
  failing: bad,
  text: bad,
  list: bad,
  endless: bad,
  closing: bad,
  foreign: { ...bad, jwksUri: "http://192.0.2.1/jwks" },
} as const satisfies Readonly<Record<string, Registration>>;

export type IssuerName = keyof typeof NAMED;

/** Issuers by name; the name is the path of the issuer's URL. */
export const ISSUERS: Readonly<Record<IssuerName, Registration>> = NAMED;
