import { mcpMessage } from "../../support/mcp-request.ts";
import {
  HOST_REFUSED,
  type HostileRow,
  MALFORMED,
  MISSING,
  NOTHING_THERE,
  type Refused,
  SCOPE_MISSING,
  SUSPENDED,
  TOKEN_INVALID,
} from "./row.ts";
import type { Request, Setting } from "./setting.ts";

/** Header fields of a good request, changed by the token. */
const sent = (
  rule: string,
  name: string,
  refused: Refused,
  headers: (token: string, at: Setting) => Record<string, string | string[]>,
  good: (token: string, at: Setting) => Record<string, string | string[]> = () => ({}),
): HostileRow => ({
  rule,
  name,
  refused,
  hostile: (at) => {
    const token = at.token();
    return at.ask(token, { headers: headers(token, at) });
  },
  control: (at) => {
    const token = at.token();
    return at.ask(token, { headers: good(token, at) });
  },
});

/** Without an Authorization header at all. */
const bare = (request: Request): Request => {
  const { authorization: _, ...headers } = request.headers;
  return { ...request, headers };
};

const authorization = (value: (token: string) => string) => (token: string) => ({
  authorization: value(token),
});

/** A call of a tool that needs `tickets:manage`, by a token with this scope. */
const calling =
  (scope: string) =>
  (at: Setting): Request => {
    const good = mcpMessage(at.token({ claims: { scope } }), "tools/call", {
      name: "close_ticket",
      arguments: { number: 999_999, resolution: "done" },
    });
    return { url: at.urlOf("acme"), headers: good.headers, body: good.body };
  };
const lacking = (name: string, scope: string, enough: string): HostileRow => ({
  rule: "duty 4",
  name,
  refused: SCOPE_MISSING,
  hostile: calling(scope),
  control: calling(enough),
});

const EVIL = "evil.example";
/** A token for the address that a header claims; the control has the same header and is for the address configured. */
const misled = (
  name: string,
  headers: (at: Setting) => Record<string, string>,
  audience: (at: Setting) => string,
) =>
  ({
    rule: "R1",
    name,
    refused: TOKEN_INVALID,
    hostile: (at) => at.ask(at.token({ claims: { aud: audience(at) } }), { headers: headers(at) }),
    control: (at) => at.ask(at.token(), { headers: headers(at) }),
  }) satisfies HostileRow;

const unread = (name: string, body: string, headers: Record<string, string> = {}): HostileRow => ({
  rule: "duty 6",
  name,
  refused: TOKEN_INVALID,
  hostile: (at) => at.ask(at.token({ claims: { exp: at.now - 31 } }), { body, headers }),
  control: (at) => at.ask(at.token()),
});

/** Duties 3, 4, 6 and 9, and R1: what is wrong before the token is looked at, beside it, or after it. */
export const credentialRows: readonly HostileRow[] = [
  // How a token is presented
  {
    rule: "duty 3",
    name: "no credentials",
    refused: MISSING,
    hostile: (at) => at.ask(null),
    control: (at) => at.ask(at.token()),
  },
  {
    rule: "duty 3",
    name: "the token in a cookie",
    refused: MISSING,
    hostile: (at) => at.ask(null, { headers: { cookie: `access_token=${at.token()}` } }),
    control: (at) => at.ask(at.token(), { headers: { cookie: `access_token=${at.token()}` } }),
  },
  {
    rule: "duty 3",
    name: "the token in a form (RFC 6750 section 2.2)",
    refused: MISSING,
    hostile: (at) => ({
      url: at.urlOf("acme"),
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: `access_token=${at.token()}`,
    }),
    control: (at) => at.ask(at.token()),
  },
  sent(
    "duty 3",
    "Basic",
    MALFORMED,
    authorization(() => "Basic YTpi"),
  ),
  sent(
    "duty 3",
    "another scheme",
    MALFORMED,
    authorization((token) => `Token ${token}`),
  ),
  sent(
    "duty 3",
    "a scheme without a token",
    MALFORMED,
    authorization(() => "Bearer"),
  ),
  sent(
    "duty 3",
    "a token without a scheme",
    MALFORMED,
    authorization((token) => token),
  ),
  sent(
    "duty 3",
    "two tokens",
    MALFORMED,
    authorization((token) => `Bearer ${token} ${token}`),
    authorization((token) => `bearer   ${token}`),
  ),
  sent(
    "duty 3",
    "a list of tokens",
    MALFORMED,
    authorization((token) => `Bearer ${token},${token}`),
  ),
  sent(
    "duty 3",
    "a list of schemes",
    MALFORMED,
    authorization((token) => `Bearer ${token}, Basic YTpi`),
  ),
  sent(
    "duty 3",
    "a token in quotes",
    MALFORMED,
    authorization((token) => `Bearer "${token}"`),
  ),
  sent(
    "duty 3",
    "a tab after the scheme",
    MALFORMED,
    authorization((token) => `Bearer\t${token}`),
    authorization((token) => `Bearer ${token}`),
  ),
  sent(
    "duty 3",
    "a letter outside ASCII",
    MALFORMED,
    authorization((token) => `Bearer ${token}\u00e9`),
  ),
  sent(
    "duty 3",
    "two headers",
    MALFORMED,
    (token) => ({ authorization: [`Bearer ${token}`, `Bearer ${token}`] }),
    (token) => ({ authorization: [`Bearer ${token}`] }),
  ),
  sent("duty 3", "two headers of different schemes", MALFORMED, (token) => ({
    authorization: [`Bearer ${token}`, "Basic YTpi"],
  })),
  ...(["access_token", "access%5Ftoken"] as const).map(
    (parameter): HostileRow => ({
      rule: "duty 3",
      name: `the token in the query as well, as ${parameter}`,
      refused: MALFORMED,
      hostile: (at) => at.ask(at.token(), { url: `${at.urlOf("acme")}?${parameter}=${at.token()}` }),
      control: (at) => at.ask(at.token(), { url: `${at.urlOf("acme")}?token=${at.token()}` }),
    }),
  ),
  {
    rule: "duty 3",
    name: "the token in the query alone",
    refused: MALFORMED,
    hostile: (at) => bare(at.ask(null, { url: `${at.urlOf("acme")}?access_token=${at.token()}` })),
    control: (at) => at.ask(at.token()),
  },
  {
    rule: "duty 3",
    name: "a token over 16 KB",
    refused: MALFORMED,
    hostile: (at) => at.ask(at.token({ claims: { padding: "x".repeat(12_000) } })),
    control: (at) => at.ask(at.token({ claims: { padding: "x".repeat(11_500) } })),
  },
  // Suspension
  {
    rule: "duty 3",
    name: "a tenant that is suspended",
    refused: SUSPENDED,
    hostile: (at) => at.ask(at.token({ from: "closed" }), { url: at.urlOf("closed") }),
    control: (at) => at.ask(at.token({ from: "open" }), { url: at.urlOf("open") }),
  },
  {
    rule: "duty 3",
    name: "a tenant that is suspended, through the broker",
    refused: SUSPENDED,
    hostile: (at) =>
      at.ask(at.token({ from: "broker", claims: { org_id: "org-closed" } }), { url: at.shared }),
    control: (at) => at.ask(at.token({ from: "broker" }), { url: at.shared }),
  },
  {
    rule: "duty 3",
    name: "a bad token at a tenant that is suspended: nobody else learns that it is",
    refused: TOKEN_INVALID,
    hostile: (at) =>
      at.ask(at.token({ from: "closed", claims: { tenant_id: "acme-org" } }), { url: at.urlOf("closed") }),
    control: (at) => at.ask(at.token({ from: "open" }), { url: at.urlOf("open") }),
  },
  // Permissions
  lacking("another permission", "tickets:read", "tickets:read tickets:manage"),
  lacking("write, which does not imply manage", "tickets:write", "tickets:manage"),
  lacking("a longer word", "tickets:manager", "tickets:manage"),
  lacking("a word before", "my-tickets:manage", "tickets:manage"),
  lacking("another case", "Tickets:Manage", "tickets:manage"),
  lacking("the permission as one segment of a longer one", "tickets:manage:own", "tickets:manage"),
  lacking("a star for a part of a segment", "ticket*:manage", "*:manage"),
  lacking("one star for all segments", "*", "tickets:*"),
  lacking("admin in another case", "Admin", "admin"),
  lacking("admin with a star", "admin:*", "admin"),
  lacking("a list with commas", "tickets:read,tickets:manage", "tickets:read tickets:manage"),
  lacking("no scope at all", "", "tickets:manage"),
  {
    rule: "duty 4",
    name: "permissions under a claim that the registration does not name",
    refused: SCOPE_MISSING,
    hostile: (at) => {
      const { url, headers, body } = calling("")(at);
      const token = at.token({
        claims: { scp: "tickets:manage", permissions: ["tickets:manage"] },
        without: ["scope"],
      });
      return { url, body, headers: { ...headers, authorization: `Bearer ${token}` } };
    },
    control: (at) => {
      const { url, headers, body } = calling("")(at);
      const token = at.token({
        from: "lists",
        claims: { scp: "tickets:read", permissions: ["tickets:manage"] },
      });
      return { url, body, headers: { ...headers, authorization: `Bearer ${token}` } };
    },
  },
  ...(
    [
      ["a role that the tenant does not define", ["constructor", "superuser"], ["lead"]],
      ["a role that does not have the permission", ["reader"], ["reader", "lead"]],
      ["a permission given for a role", ["tickets:manage", "admin"], "lead"],
    ] as const
  ).map(([name, roles, good]): HostileRow => {
    const withRoles =
      (value: unknown) =>
      (at: Setting): Request => {
        const { url, headers, body } = calling("")(at);
        const token = at.token({ from: "roles", claims: { scope: "", realm_access: { roles: value } } });
        return { url, body, headers: { ...headers, authorization: `Bearer ${token}` } };
      };
    return {
      rule: "duty 4",
      name,
      refused: SCOPE_MISSING,
      hostile: withRoles(roles),
      control: withRoles(good),
    };
  }),
  // The body stays unread
  unread("an expired token with a body that is no JSON", "{"),
  unread("an expired token with a body over the limit", "x".repeat(1_100_000)),
  unread(
    "an expired token with an unknown method",
    JSON.stringify({ jsonrpc: "2.0", id: 7, method: "tools/destroy" }),
  ),
  unread("an expired token with a body of another type", "a=b", { "content-type": "text/plain" }),
  // Where the server is
  misled(
    "X-Forwarded-Host",
    () => ({ "x-forwarded-host": EVIL }),
    () => `http://${EVIL}/t/acme/mcp`,
  ),
  misled(
    "Forwarded",
    () => ({ forwarded: `host=${EVIL};proto=https` }),
    () => `https://${EVIL}/t/acme/mcp`,
  ),
  misled(
    "X-Forwarded-Proto",
    () => ({ "x-forwarded-proto": "https" }),
    (at) => at.urlOf("acme").replace("http:", "https:"),
  ),
  misled(
    "X-Forwarded-Prefix",
    () => ({ "x-forwarded-prefix": "/api" }),
    (at) => `${at.origin}/api/t/acme/mcp`,
  ),
  misled(
    "another name of this machine as Host",
    (at) => ({ host: new URL(at.origin).host.replace("127.0.0.1", "localhost") }),
    (at) => at.urlOf("acme").replace("127.0.0.1", "localhost"),
  ),
  {
    rule: "R1",
    name: "another tenant's address in X-Original-URL",
    refused: TOKEN_INVALID,
    hostile: (at) => at.ask(at.token({ from: "globex" }), { headers: { "x-original-url": "/t/globex/mcp" } }),
    control: (at) => at.ask(at.token({ from: "globex" }), { url: at.urlOf("globex") }),
  },
  sent(
    "duty 9",
    "a foreign Host",
    HOST_REFUSED,
    () => ({ host: EVIL }),
    (_, at) => ({ host: new URL(at.origin).host }),
  ),
  sent(
    "duty 9",
    "a foreign Origin",
    HOST_REFUSED,
    () => ({ origin: `https://${EVIL}` }),
    (_, at) => ({ origin: at.origin }),
  ),
  sent("duty 9", "the Origin of a sandboxed page", HOST_REFUSED, () => ({ origin: "null" })),
  ...(["/t/%61cme/mcp", "/t/ACME/mcp", "/t/acme/mcp/", "/t/initech/mcp", "/t/acme;x=1/mcp"] as const).map(
    (path): HostileRow => ({
      rule: "R1",
      name: `another way to write the address: ${path}`,
      refused: NOTHING_THERE,
      hostile: (at) => at.ask(at.token(), { url: at.origin + path }),
      control: (at) => at.ask(at.token()),
    }),
  ),
];
