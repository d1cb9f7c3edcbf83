import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "../../src/cli/free-port.ts";
import type { DevelopmentTenantAccess } from "../../src/development-access.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { callTool } from "../support/mcp-request.ts";

let database: TestDatabase;
let child: ChildProcess | undefined;
beforeAll(async () => {
  database = await createTestDatabase("helpdesk");
});
afterAll(async () => {
  child?.kill("SIGKILL");
  await database.drop();
});

async function serve(port: number): Promise<{ process: ChildProcess; tenants: DevelopmentTenantAccess[] }> {
  const started = fork(
    fileURLToPath(new URL("./fixtures/serve-helpdesk.ts", import.meta.url)),
    [database.adminUrl, String(port)],
    {
      execArgv: ["--conditions=bulkhead-source", "--import", "tsx"],
    },
  );
  child = started;
  const [message] = (await once(started, "message")) as [{ tenants: DevelopmentTenantAccess[] }];
  return { process: started, tenants: message.tenants };
}

test("killed under load and started again: every acknowledged ticket is there, and every ticket has its audit rows", async () => {
  const port = await freePort(0);
  const first = await serve(port);
  const writers = first.tenants.map((tenant) => ({ ...tenant, acknowledged: new Set<string>() }));
  let killed = false;
  let number = 0;
  const customers = new Map<string, string>();
  for (const { id } of writers) {
    const [row] = await database.admin<{ email: string }>(
      "SELECT email FROM app.customers WHERE tenant_id = $1 LIMIT 1",
      [id],
    );
    customers.set(id, row?.email ?? "");
  }
  // A rate that lets the load through.
  await database.admin("UPDATE bulkhead.plans SET limits = '{\"requestsPerMinute\": null}'");
  await new Promise((resolve) => setTimeout(resolve, 1_200));

  const work = writers.flatMap((writer) =>
    Array.from({ length: 6 }, async () => {
      while (!killed) {
        const subject = `Load ${++number}`;
        const answer = await callTool(writer.mcp, writer.token, "open_ticket", {
          customerEmail: customers.get(writer.id),
          subject,
          body: "Under load.",
        }).catch(() => null);
        if (
          answer?.status === 200 &&
          answer.json?.result?.isError === undefined &&
          answer.json?.result !== undefined
        )
          writer.acknowledged.add(subject);
      }
    }),
  );
  while (writers.some((writer) => writer.acknowledged.size < 40))
    await new Promise((resolve) => setTimeout(resolve, 20));
  first.process.kill("SIGKILL");
  await once(first.process, "exit");
  killed = true;
  await Promise.all(work);

  const second = await serve(port);
  try {
    for (const writer of writers) {
      const tickets = await database.admin<{ subject: string; operation_id: string }>(
        "SELECT subject, operation_id FROM app.tickets WHERE tenant_id = $1 AND subject LIKE 'Load %'",
        [writer.id],
      );
      const subjects = new Set(tickets.map((ticket) => ticket.subject));
      expect([...writer.acknowledged].filter((subject) => !subjects.has(subject))).toEqual([]);
      // Recovery is a regular task of the new instance.
      await expect
        .poll(
          () =>
            database.admin(
              `SELECT t.subject FROM app.tickets t
                WHERE t.tenant_id = $1 AND t.subject LIKE 'Load %'
                  AND (SELECT array_agg(a.kind ORDER BY a.kind) FROM bulkhead.audit_entries a
                        WHERE a.tenant_id = t.tenant_id AND a.operation_id = t.operation_id) IS DISTINCT FROM ARRAY['intent', 'outcome']`,
              [writer.id],
            ),
          { timeout: 15_000, interval: 250 },
        )
        .toEqual([]);
      const [unacknowledged] = await database.admin<{ n: number }>(
        "SELECT count(*)::int AS n FROM bulkhead.audit_entries WHERE tenant_id = $1 AND outcome = 'unknown'",
        [writer.id],
      );
      // What was under way when the process died is on record as unknown, not as done.
      expect(unacknowledged?.n).toBeLessThanOrEqual(6);
    }
    const again = await callTool(
      second.tenants[0]?.mcp ?? "",
      second.tenants[0]?.token ?? "",
      "search_tickets",
      { text: "Load" },
    );
    expect(again.status).toBe(200);
  } finally {
    const exited = once(second.process, "exit");
    second.process.kill("SIGKILL");
    await exited;
  }
});
