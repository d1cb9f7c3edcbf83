import type { TenantSql } from "bulkhead-mcp";
import type { Desk } from "./desk.ts";

/** Stands where a ticket that somebody opened has the operation's id: there is no audit row for the demonstration. */
const OPERATION = "demonstration";

/**
 * Puts a desk into the tenant that `sql` has entered: four statements, all or nothing. No row names its tenant;
 * tenant_id fills itself, and the database would refuse any other.
 */
export async function fillDesk(sql: TenantSql, { customers, tickets }: Desk): Promise<void> {
  const numbered = tickets
    .toSorted((a, b) => b.openedHoursAgo - a.openedHoursAgo)
    .map((ticket, index) => ({ ...ticket, number: 1001 + index }));
  const ticketRows = numbered.map(({ closed, pending, comments: _, ...ticket }) => ({
    ...ticket,
    status: closed !== undefined ? "closed" : pending ? "pending" : "open",
    priority: ticket.priority ?? "normal",
    closedHoursAgo: closed === undefined ? null : ticket.openedHoursAgo - closed.afterHours,
    resolution: closed?.resolution ?? null,
  }));
  const commentRows = numbered.flatMap(({ number, openedHoursAgo, comments = [] }) =>
    comments.map(({ author, body, internal = false, afterHours }) => ({
      ticket: number,
      author,
      body,
      internal,
      hoursAgo: openedHoursAgo - afterHours,
    })),
  );

  await sql.transaction(async (sql) => {
    await sql`
      INSERT INTO customers (name, email, company)
      SELECT name, email, company
      FROM jsonb_to_recordset(${sql.json(customers)}) AS row (name text, email text, company text)`;
    // A left join, so that a misspelt address breaks the NOT NULL of customer_id instead of dropping a ticket.
    await sql`
      INSERT INTO tickets (number, subject, body, status, priority, customer_id, assignee, opened_by, operation_id,
                           opened_at, closed_at, resolution)
      SELECT row.number, row.subject, row.body, row.status, row.priority, customers.id, row.assignee, row."openedBy",
             ${OPERATION}, now() - row."openedHoursAgo" * interval '1 hour',
             now() - row."closedHoursAgo" * interval '1 hour', row.resolution
      FROM jsonb_to_recordset(${sql.json(ticketRows)}) AS row (
             number integer, subject text, body text, status text, priority text, customer text, assignee text,
             "openedBy" text, "openedHoursAgo" float8, "closedHoursAgo" float8, resolution text)
        LEFT JOIN customers ON customers.email = row.customer`;
    await sql`
      INSERT INTO comments (ticket, author, body, internal, operation_id, at)
      SELECT row.ticket, row.author, row.body, row.internal, ${OPERATION}, now() - row."hoursAgo" * interval '1 hour'
      FROM jsonb_to_recordset(${sql.json(commentRows)}) AS row (
             ticket integer, author text, body text, internal boolean, "hoursAgo" float8)`;
    await sql`INSERT INTO ticket_counters (last_number) VALUES (${1000 + numbered.length})`;
  });
}
