import type { Request, Setting, TokenRecipe } from "./setting.ts";

/** What a refused request is answered with. */
export interface Refused {
  readonly status: number;
  /** JSON-RPC code. */
  readonly rpc: number;
  /** `error.data.code`. */
  readonly code: string;
  /** `error` in WWW-Authenticate; null: challenges without one; undefined: no such header. */
  readonly error: string | null | undefined;
}

/** A request that must be refused, and one that differs in nothing but the flaw and must not. */
export interface HostileRow {
  /** The rule or duty of the identity design that refuses it. */
  readonly rule: string;
  readonly name: string;
  readonly refused: Refused;
  readonly hostile: (at: Setting) => Request | Promise<Request>;
  readonly control: (at: Setting) => Request | Promise<Request>;
}

const refused = (status: number, code: string, error?: string | null): Refused => ({
  status,
  rpc: -31_000 - status,
  code,
  error,
});

export const TOKEN_INVALID = refused(401, "token_invalid", "invalid_token");
export const PROOF_INVALID = refused(401, "dpop_proof_invalid", "invalid_dpop_proof");
export const MISSING = refused(401, "credentials_missing", null);
export const MALFORMED = refused(400, "credentials_malformed", "invalid_request");
export const SCOPE_MISSING = refused(403, "scope_insufficient", "insufficient_scope");
export const SUSPENDED = refused(403, "tenant_suspended", "access_denied");
export const HOST_REFUSED = refused(403, "host_refused");
export const NOTHING_THERE = refused(404, "route_unknown");
export const KEYS_UNAVAILABLE = refused(503, "keys_unavailable");
export const INTROSPECTION_UNAVAILABLE = refused(503, "introspection_unavailable");

type Recipe = TokenRecipe | ((at: Setting) => TokenRecipe);

const recipeAt = (at: Setting, recipe: Recipe): TokenRecipe =>
  typeof recipe === "function" ? recipe(at) : recipe;

/** A row whose flaw is in the token alone, shown to acme as Bearer. */
export const wrongToken = (
  rule: string,
  name: string,
  hostile: Recipe,
  control: Recipe = {},
): HostileRow => ({
  rule,
  name,
  refused: TOKEN_INVALID,
  hostile: (at) => at.ask(at.token(recipeAt(at, hostile))),
  control: (at) => at.ask(at.token(recipeAt(at, control))),
});

/** Rows of the claims of a good token of acme, changed. */
export const wrongClaims = (rule: string, name: string, claims: object, good: object = {}): HostileRow =>
  wrongToken(rule, name, { claims: { ...claims } }, { claims: { ...good } });
