import { CallerError, type TenantSql } from "bulkhead-mcp";

/**
 * Why a change that holds for tickets still in work found none of this number. Asked only after the change itself said
 * so: looking first and changing then would leave a gap in between.
 */
export async function whyUnchanged(sql: TenantSql, number: number): Promise<CallerError> {
  const [ticket] = await sql<{ status: string }>`SELECT status FROM tickets WHERE number = ${number}`;
  if (ticket === undefined) return noSuchTicket(number);
  if (ticket.status === "closed") {
    return new CallerError(
      `Ticket ${number} is closed. If the trouble is back, open a new ticket that names it.`,
    );
  }
  return new CallerError(`Ticket ${number} was changed by somebody else at the same moment. Try again.`);
}

/** Another tenant's ticket of this number answers just so, for this tenant's database has no such row. */
export function noSuchTicket(number: number): CallerError {
  return new CallerError(`There is no ticket ${number}. search_tickets finds tickets by their words.`);
}
