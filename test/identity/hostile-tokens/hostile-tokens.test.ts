import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type HttpAnswer, send } from "../../support/mcp-request.ts";
import { audienceAndIssuerRows } from "./audience-and-issuer-rows.ts";
import { claimRows } from "./claim-rows.ts";
import { credentialRows } from "./credential-rows.ts";
import { possessionAndRevocationRows } from "./possession-and-revocation-rows.ts";
import { type HostileRow, TOKEN_INVALID } from "./row.ts";
import { type Request, type Setting, startSetting } from "./setting.ts";

// Of R7, that streams end with the token, test/pipeline/open-streams.test.ts has the tests.
const ROWS: readonly HostileRow[] = [
  ...credentialRows,
  ...audienceAndIssuerRows,
  ...claimRows,
  ...possessionAndRevocationRows,
];

let at: Setting;
beforeAll(async () => {
  at = await startSetting();
});
afterAll(() => at.close());

/** Secrets of all requests so far. */
const sent = new Set<string>();
/** Looks for keys since time was last let pass. */
let looks = 0;

const answerTo = async (request: Request): Promise<HttpAnswer> => {
  for (const secret of secretsOf(request)) sent.add(secret);
  const before = at.keyRequests();
  const answer = await send(request.url, request);
  // Key ids that nobody publishes are looked for four times at once and every ten seconds: the next is told to come again.
  looks += at.keyRequests() - before;
  if (looks >= 3) {
    await at.pass(looks * 10_000);
    looks = 0;
  }
  return answer;
};

/** Everything in a request that is secret: tokens, their parts, proofs, keys. */
const secretsOf = (request: Request): string[] =>
  [request.headers.authorization, request.headers.dpop, request.headers.cookie, request.url.split("?")[1]]
    .flat()
    .flatMap((value) => value?.split(/[\s.,=]/) ?? [])
    .filter((part) => part.length > 12);

const metadataOf = ({ url }: Request): string => {
  const { origin, pathname } = new URL(url);
  return `${origin}/.well-known/oauth-protected-resource${pathname}`;
};

test("the table has rows for every rule, and no two of one name", () => {
  expect(ROWS.length).toBeGreaterThanOrEqual(120);
  expect(new Set(ROWS.map((row) => `${row.rule} ${row.name}`)).size).toBe(ROWS.length);
  expect([...new Set(ROWS.map((row) => row.rule))].sort()).toEqual(
    [
      ...["R1", "R2", "R3", "R4", "R5", "R6", "R8", "R9", "R10", "R11", "R12"],
      ...["duty 3", "duty 4", "duty 5", "duty 6", "duty 9"],
    ].sort(),
  );
});

describe("refused", () => {
  test.each(ROWS.map((row) => [row.rule, row.name, row] as const))("%s: %s", async (_rule, _name, row) => {
    const request = await row.hostile(at);
    const answer = await answerTo(request);
    const header = answer.headers["www-authenticate"];
    const challenge = header === undefined ? undefined : String(header);
    const errors = [...(challenge ?? "").matchAll(/\berror="([^"]*)"/g)].map(([, error]) => error);
    expect([answer.status, answer.json?.error?.data?.code, answer.json?.error?.code, errors]).toEqual([
      row.refused.status,
      row.refused.code,
      row.refused.rpc,
      typeof row.refused.error === "string" ? [row.refused.error] : [],
    ]);
    if (row.refused.error === undefined) expect(challenge).toBeUndefined();
    else expect(challenge).toContain(`resource_metadata="${metadataOf(request)}"`);
    if (row.refused.status === 503) expect(Number(answer.headers["retry-after"])).toBeGreaterThan(0);
    const told = answer.text + JSON.stringify(answer.headers);
    for (const secret of secretsOf(request)) expect(told).not.toContain(secret);

    const control = await answerTo(await row.control(at));
    expect([control.status, control.json?.error]).toEqual([200, undefined]);
  });
});

test("whichever rule refuses a token, the answer is the same to the letter", async () => {
  const answers = new Map<string, string>();
  for (const row of ROWS.filter((one) => one.refused === TOKEN_INVALID)) {
    const answer = await answerTo(await row.hostile(at));
    const text = `${answer.status} ${answer.text}`;
    if (!answers.has(text)) answers.set(text, row.name);
  }
  expect([...answers.keys()]).toHaveLength(1);
});

test("a token that is refused for its issuer or claims costs no look for keys", async () => {
  await answerTo(at.ask(at.token()));
  const before = at.keyRequests();
  for (const recipe of [
    { claims: { iss: "https://evil.example" } },
    { claims: { iss: at.issuer("failing"), aud: at.shared } },
    { claims: { iss: at.issuer("failing"), tenant_id: "x" } },
    { claims: { iss: at.issuer("failing"), exp: 1 } },
    { claims: { iss: at.issuer("failing") }, header: { typ: "JWT" } },
  ]) {
    expect((await answerTo(at.ask(at.token(recipe)))).status).toBe(401);
  }
  expect(at.keyRequests()).toBe(before);
});

test("a proof that cannot be remembered is not accepted: 503, while other tokens pass", async () => {
  const { admin } = at.server.database;
  const LOCK = "BEGIN; LOCK TABLE bulkhead.used_proofs; SELECT pg_sleep(60)";
  const held = admin(LOCK).catch(() => {});
  const holders = () =>
    admin<{ pid: number }>(
      "SELECT pid FROM pg_locks WHERE relation = 'bulkhead.used_proofs'::regclass AND mode = 'AccessExclusiveLock' AND granted",
    );
  while ((await holders()).length === 0);
  const answer = await answerTo(at.prove(at.boundToken()));
  expect([answer.status, answer.json.error.data.code]).toEqual([503, "database_unavailable"]);
  expect(answer.headers["retry-after"]).toBe("1");
  expect((await answerTo(at.ask(at.token()))).status).toBe(200);
  await admin("SELECT pg_terminate_backend($1)", [(await holders())[0]?.pid]);
  await held;
  expect((await answerTo(at.prove(at.boundToken()))).status).toBe(200);
});

test("no log line has a token, a proof or a key in it, down to the last one", async () => {
  const row = ROWS.find((one) => one.name === "a proof by another key");
  if (row === undefined) throw new TypeError("The row is gone.");
  for (const make of [row.hostile, row.control]) await answerTo(await make(at));
  const [instance] = at.server.instances;
  await instance.bulkhead.close();
  const log = JSON.stringify(instance.log());
  expect(log).toContain("dpop_proof_invalid");
  expect([...sent].filter((secret) => log.includes(secret))).toEqual([]);
});
