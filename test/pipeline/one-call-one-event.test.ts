import { afterAll, beforeAll, expect, test } from "vitest";
import { type AuditFacts, CHAIN_START, canonicalJson, sealAuditRow } from "../../src/core/audit-row.ts";
import type { Actor } from "../../src/core/event.ts";
import type { InstanceId, OperationId, TenantId } from "../../src/core/ids.ts";
import { callTool, mcp, mcpMessage, send } from "../support/mcp-request.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

interface AuditRecord {
  tenant_id: TenantId;
  run_id: InstanceId;
  seq: string;
  kind: AuditFacts["kind"];
  operation_id: OperationId | null;
  at: Date;
  actor: Actor | null;
  action: string;
  target: string | null;
  outcome: string | null;
  code: string | null;
  duration_ms: number | null;
  details: Record<string, unknown> | null;
  prev_hash: Buffer;
  hash: Buffer;
}

const auditRows = (tenant: string): Promise<AuditRecord[]> =>
  server.database.admin<AuditRecord>(
    "SELECT * FROM bulkhead.audit_entries WHERE tenant_id = $1 ORDER BY run_id, seq",
    [tenant],
  );

/** Counters of a tenant as /metrics has them. */
async function counters(tenant: string): Promise<Record<string, number>> {
  const { text } = await send(`${server.url}/metrics`, { method: "GET" });
  const found: Record<string, number> = {};
  for (const line of text.split("\n")) {
    const match =
      /^(bulkhead_operations_total|bulkhead_operation_duration_seconds_count)\{(.*)\} (\d+)$/.exec(line);
    if (match?.[2]?.includes(tenant)) found[`${match[1]}{${match[2]}}`] = Number(match[3]);
  }
  return found;
}

async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  const end = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error("It did not come to be.");
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

test("a call that changes something leaves one intent, one outcome, one log line and one count, all of its tenant", async () => {
  const before = (await auditRows(server.globex.id)).length;
  const answer = await callTool(server.globex.mcp, server.globex.token, "open_ticket", {
    customerEmail: (
      await server.database.admin<{ email: string }>(
        "SELECT email FROM app.customers WHERE tenant_id = $1 LIMIT 1",
        [server.globex.id],
      )
    )[0]?.email,
    subject: "The meter shows nothing",
    body: "Since this morning.",
  });
  expect(answer.json.result.isError).toBeUndefined();
  // Committed before the answer: no waiting here.
  const rows = (await auditRows(server.globex.id)).slice(before);
  expect(rows.map((row) => [row.kind, row.action, row.target, row.outcome])).toEqual([
    ["intent", "tools/call", "open_ticket", null],
    ["outcome", "tools/call", "open_ticket", "ok"],
  ]);
  const [intent, outcome] = rows;
  expect(intent?.operation_id).toBe(outcome?.operation_id);
  const access = { reason: "granted", permission: "tickets:write", by: "tickets:write", from: "scope" };
  expect(intent?.details).toEqual({ access });
  expect(outcome?.details).toMatchObject({ access });
  expect(outcome?.actor).toEqual({
    kind: "user",
    subject: "grace",
    issuer: server.globex.issuer,
    clientId: "bulkhead-development",
  });
  const tickets = await server.database.admin<{ tenant_id: string }>(
    "SELECT tenant_id FROM app.tickets WHERE operation_id = $1",
    [outcome?.operation_id],
  );
  expect(tickets).toEqual([{ tenant_id: server.globex.id }]);

  await until(() => server.instances[0].log().some((line) => line.operation === outcome?.operation_id));
  const lines = server.instances[0].log().filter((line) => line.operation === outcome?.operation_id);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({
    event: "operation",
    level: "info",
    tenant: server.globex.id,
    method: "tools/call",
    target: "open_ticket",
    outcome: "ok",
    access,
    subject: "grace",
  });

  expect(await counters(server.globex.id)).toMatchObject({
    [`bulkhead_operations_total{tenant="${server.globex.id}",method="tools/call",outcome="ok"}`]: 1,
    [`bulkhead_operation_duration_seconds_count{tenant="${server.globex.id}",method="tools/call"}`]: 1,
  });
});

test("a read-only call leaves exactly one outcome, soon, no intent, one log line and one count", async () => {
  const before = (await auditRows(server.acme.id)).length;
  const labels = `tenant="${server.acme.id}",method="tools/call"`;
  const counts = async () => {
    const found = await counters(server.acme.id);
    return [
      found[`bulkhead_operations_total{${labels},outcome="ok"}`] ?? 0,
      found[`bulkhead_operation_duration_seconds_count{${labels}}`] ?? 0,
    ];
  };
  const lines = () =>
    server.instances[0].log().filter((line) => line.event === "operation" && line.tenant === server.acme.id);
  const [linesBefore, countsBefore] = [lines().length, await counts()];
  await callTool(server.acme.mcp, server.acme.token, "get_ticket", { number: 1001 });
  await until(async () => (await auditRows(server.acme.id)).length > before);
  await until(() => lines().length > linesBefore);
  // For what might come after the first: rows, lines and counts alike.
  await new Promise((resolve) => setTimeout(resolve, 200));
  const rows = (await auditRows(server.acme.id)).slice(before);
  expect(rows.map((row) => [row.kind, row.target, row.outcome])).toEqual([["outcome", "get_ticket", "ok"]]);
  expect(lines().slice(linesBefore)).toMatchObject([
    {
      level: "info",
      operation: rows[0]?.operation_id,
      method: "tools/call",
      target: "get_ticket",
      outcome: "ok",
      subject: "ada",
    },
  ]);
  expect(await counts()).toEqual(countsBefore.map((count) => count + 1));
});

test("refusals are summed up: one row and one line for many, of the tenant that was refused", async () => {
  const before = (await auditRows(server.acme.id)).filter((row) => row.kind === "refusals").length;
  for (let i = 0; i < 25; i++)
    await mcp(server.acme.mcp, server.acme.token, "tools/call", { name: `guess_${i}` });
  await until(
    async () => (await auditRows(server.acme.id)).filter((row) => row.kind === "refusals").length > before,
  );
  const rows = (await auditRows(server.acme.id)).filter((row) => row.kind === "refusals").slice(before);
  expect(rows.reduce((sum, row) => sum + Number(row.details?.count), 0)).toBe(25);
  expect(rows.length).toBeLessThanOrEqual(2);
  expect(rows.every((row) => row.code === "tool_unknown")).toBe(true);
  expect(JSON.stringify(rows)).not.toContain("guess_");
  expect((await auditRows(server.globex.id)).filter((row) => row.code === "tool_unknown")).toEqual([]);
});

test("why a caller was let in is on record, and for lack of what another was not", async () => {
  const before = (await auditRows(server.acme.id)).length;
  const viewer = server.token("acme", "vic");
  await mcp(server.acme.mcp, viewer, "tools/list");
  await callTool(server.acme.mcp, viewer, "get_ticket", { number: 1001 });
  for (const tool of ["close_ticket", "close_ticket", "open_ticket"])
    expect((await callTool(server.acme.mcp, viewer, tool, { note: "a-word-of-the-caller" })).status).toBe(
      403,
    );
  const rows = async () => (await auditRows(server.acme.id)).slice(before);
  const lacked = async () =>
    (await rows()).flatMap((row) => (row.code === "scope_insufficient" ? [row.details] : []));
  await until(async () => (await lacked()).reduce((sum, details) => sum + Number(details?.count), 0) === 3);
  const counted = new Map<unknown, number>();
  for (const details of await lacked())
    counted.set(details?.permission, (counted.get(details?.permission) ?? 0) + Number(details?.count));
  expect([...counted].sort()).toEqual([
    ["tickets:manage", 2],
    ["tickets:write", 1],
  ]);
  expect(
    (await rows()).filter((row) => row.kind === "outcome").map((row) => [row.action, row.details]),
  ).toEqual([
    ["tools/list", { access: { reason: "not_required" } }],
    [
      "tools/call",
      { access: { reason: "granted", permission: "tickets:read", by: "tickets:read", from: "scope" } },
    ],
  ]);
  expect(JSON.stringify(await rows())).not.toContain("a-word-of-the-caller");
  await until(() =>
    server.instances[0]
      .log()
      .some(
        (line) =>
          line.event === "refusals" && line.permission === "tickets:manage" && line.tenant === server.acme.id,
      ),
  );
  const { text } = await send(`${server.url}/metrics`, { method: "GET" });
  expect(text).toContain('bulkhead_permission_refusals_total{permission="tickets:manage"} 2\n');
  expect(text).toContain('bulkhead_permission_refusals_total{permission="tickets:write"} 1\n');
});

test("an administrative act is on record for its tenant", async () => {
  await server.admin("PATCH", "/tenants/globex", { name: "Globex Energy Ltd" });
  await until(async () =>
    (await auditRows(server.globex.id)).some(
      (row) => row.kind === "administrative" && row.action === "tenants.change",
    ),
  );
});

test("rows of a tenant form a chain: each seals the one before", async () => {
  for (const tenant of [server.acme.id, server.globex.id]) {
    const rows = await auditRows(tenant);
    expect(rows.length).toBeGreaterThan(1);
    let head = CHAIN_START;
    for (const row of rows) {
      const facts: AuditFacts = {
        tenantId: row.tenant_id,
        kind: row.kind,
        operationId: row.operation_id,
        at: row.at.getTime(),
        actor: row.actor,
        action: row.action,
        target: row.target,
        outcome: row.outcome,
        code: row.code,
        durationMs: row.duration_ms,
        details: row.details,
      };
      const sealed = sealAuditRow(facts, row.run_id, head);
      expect(sealed.seq).toBe(Number(row.seq));
      expect(sealed.hash).toBe(row.hash.toString("hex"));
      expect(sealed.prevHash).toBe(row.prev_hash.toString("hex"));
      head = sealed;
    }
  }
  expect(canonicalJson({ b: 1, a: { d: [{ z: 1, y: 2 }], c: null } })).toBe(
    '{"a":{"c":null,"d":[{"y":2,"z":1}]},"b":1}',
  );
});

test("no row of the audit trail can be changed or removed by the doors", async () => {
  for (const text of [
    "UPDATE bulkhead.audit_entries SET outcome = 'ok'",
    "DELETE FROM bulkhead.audit_entries",
    "TRUNCATE bulkhead.audit_entries",
  ]) {
    await expect(
      server.database.system.run("write audit rows", (db) => db.query(text)),
    ).rejects.toMatchObject({ code: "42501" });
  }
  await expect(
    server.database.system.run("erase a tenant", (db) =>
      db.query("SELECT bulkhead.erase_audit($1)", [server.acme.id]),
    ),
  ).rejects.toThrow("after its tenant");
});

test("neither log nor audit contains a token, nor what was sent in the place of one", async () => {
  const { token, mcp: url } = server.acme;
  const [header = "", payload = "", signature = ""] = token.split(".");
  const { headers, body } = mcpMessage(null, "tools/list");
  const forged = signature.split("").reverse().join("");
  for (const [authorization, status] of [
    [`Bearer ${header}.${payload}.${forged}`, 401],
    [`Bearer ${header}.${payload}`, 401],
    [`Bearer ${token.slice(0, -40)}`, 401],
    [`Bearer ${token} ${token}`, 400],
    [`Basic ${token}`, 400],
  ] as const)
    expect((await send(url, { headers: { ...headers, authorization }, body })).status).toBe(status);
  expect((await send(`${url}?access_token=${token}`, { headers, body })).status).toBe(400);
  // Refusals are summed up for a while before they are told.
  const told = () => server.instances[0].log().map((line) => JSON.stringify(line));
  await until(() =>
    ["token_invalid", "credentials_malformed"].every((code) => told().some((line) => line.includes(code))),
  );
  const text =
    told().join("\n") + JSON.stringify(await server.database.admin("SELECT * FROM bulkhead.audit_entries"));
  expect(text).not.toContain(forged);
  for (const tenant of [server.acme, server.globex]) {
    // Of each part: a log that shortens what it tells would still hold the beginning of one.
    for (const part of [tenant.token, tenant.sharedToken].flatMap((whole) => whole.split(".").slice(1)))
      expect(text).not.toContain(part.slice(0, 40));
  }
});
