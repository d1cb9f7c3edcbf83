import { randomBytes } from "node:crypto";

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** Opaque id of a tenant: `tnt_` and 26 characters. Never derived from a slug. */
export type TenantId = Branded<"TenantId">;
/** Id of one operation (a call, a read, an administrative act): names it in answers, logs and audit. */
export type OperationId = Branded<"OperationId">;
/** Id of one run of one instance: a new one at every start. */
export type InstanceId = Branded<"InstanceId">;
/** Id of a trusted issuer's registration. */
export type IssuerId = Branded<"IssuerId">;
/** Id of an API key: also what its bearer sends, before the secret. */
export type ApiKeyId = Branded<"ApiKeyId">;
/** Id of a revocation. */
export type RevocationId = Branded<"RevocationId">;
/** Id of a session of the previous generation: visible ASCII, and unguessable besides being bound to its caller. */
export type SessionId = Branded<"SessionId">;
/** Id of a task. */
export type TaskId = Branded<"TaskId">;

const PREFIX = {
  tenant: "tnt_",
  operation: "op_",
  instance: "ins_",
  issuer: "iss_",
  apiKey: "key_",
  revocation: "rev_",
  session: "ses_",
  task: "task_",
} as const;
const BODY = /^[0-9a-hjkmnp-tv-z]{26}$/;
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const TIME_DIGITS = 10;
const RANDOM_DIGITS = 16;

/** A tenant's slug: the readable name in URLs. Lower-case ASCII only, so that no two slugs look alike in a URL. */
export type Slug = Branded<"Slug">;
const SLUG = /^[a-z](?:[a-z0-9]|-(?=[a-z0-9])){1,38}$/;

export function parseSlug(text: string): Slug | null {
  return SLUG.test(text) ? (text as Slug) : null;
}

export function parseTenantId(text: string): TenantId | null {
  return hasForm(text, PREFIX.tenant) ? (text as TenantId) : null;
}

export function parseIssuerId(text: string): IssuerId | null {
  return hasForm(text, PREFIX.issuer) ? (text as IssuerId) : null;
}

export function parseApiKeyId(text: string): ApiKeyId | null {
  return hasForm(text, PREFIX.apiKey) ? (text as ApiKeyId) : null;
}

export function parseRevocationId(text: string): RevocationId | null {
  return hasForm(text, PREFIX.revocation) ? (text as RevocationId) : null;
}

export function parseSessionId(text: string): SessionId | null {
  return hasForm(text, PREFIX.session) ? (text as SessionId) : null;
}

export function parseTaskId(text: string): TaskId | null {
  return hasForm(text, PREFIX.task) ? (text as TaskId) : null;
}

/** Makes ids: 48 bits of time, then 80 random bits, in Crockford's base 32, so that ids sort by age. */
export interface IdSource {
  tenant(): TenantId;
  operation(): OperationId;
  instance(): InstanceId;
  issuer(): IssuerId;
  apiKey(): ApiKeyId;
  revocation(): RevocationId;
  session(): SessionId;
  task(): TaskId;
}

/** @param now milliseconds since 1970, from the clock of the caller. */
export function createIdSource(
  now: () => number,
  random: (bytes: number) => Uint8Array = randomBytes,
): IdSource {
  // Random bytes are drawn in blocks: one system call serves 400 ids on the request path.
  const block = 4000;
  let pool = random(block);
  let used = 0;
  const digits = Buffer.from(ALPHABET, "latin1");
  // One buffer for all bodies: the time stays in it while the millisecond lasts.
  const text = Buffer.alloc(TIME_DIGITS + RANDOM_DIGITS);
  let written = Number.NaN;
  const body = (): string => {
    if (used + 10 > block) {
      pool = random(block);
      used = 0;
    }
    const time = Math.floor(now());
    if (time !== written) {
      written = time;
      for (let rest = time, i = TIME_DIGITS - 1; i >= 0; i--) {
        text[i] = digits[rest % 32] ?? 0;
        rest = Math.floor(rest / 32);
      }
    }
    let bits = 0;
    let held = 0;
    for (let i = TIME_DIGITS; i < text.length; i++) {
      if (held < 5) {
        bits = ((bits << 8) | (pool[used++] ?? 0)) & 0xfff;
        held += 8;
      }
      held -= 5;
      text[i] = digits[(bits >> held) & 31] ?? 0;
    }
    return text.toString("latin1");
  };
  return {
    tenant: () => (PREFIX.tenant + body()) as TenantId,
    operation: () => (PREFIX.operation + body()) as OperationId,
    instance: () => (PREFIX.instance + body()) as InstanceId,
    issuer: () => (PREFIX.issuer + body()) as IssuerId,
    apiKey: () => (PREFIX.apiKey + body()) as ApiKeyId,
    revocation: () => (PREFIX.revocation + body()) as RevocationId,
    session: () => (PREFIX.session + body()) as SessionId,
    task: () => (PREFIX.task + body()) as TaskId,
  };
}

function hasForm(text: string, prefix: string): boolean {
  return text.startsWith(prefix) && BODY.test(text.slice(prefix.length));
}
