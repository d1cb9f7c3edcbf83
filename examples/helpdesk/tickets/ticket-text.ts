import type { Ticket, TicketSummary } from "./ticket.ts";

/** A ticket in one line, as a model or a person reads a list. */
export function ticketLine(ticket: TicketSummary): string {
  const who = ticket.assignee === null ? "assigned to nobody" : `assigned to ${ticket.assignee}`;
  const { name, company } = ticket.customer;
  return `#${ticket.number} [${ticket.status}, ${ticket.priority}] ${ticket.subject} (${name}, ${company}; ${who}; opened ${minute(ticket.openedAt)})`;
}

/** A whole ticket as text, with every comment saying whom it is for. */
export function ticketText(ticket: Ticket): string {
  const { name, email, company } = ticket.customer;
  const head = [
    `Ticket ${ticket.number}: ${ticket.subject}`,
    `Status: ${ticket.status}. Priority: ${ticket.priority}. Assigned to: ${ticket.assignee ?? "nobody"}.`,
    `Customer: ${name} <${email}>, ${company}`,
    `Opened ${minute(ticket.openedAt)} by ${ticket.openedBy} (operation ${ticket.operationId})`,
    ...(ticket.escalatedAt === null ? [] : [`Escalated ${minute(ticket.escalatedAt)}`]),
    ...(ticket.closedAt === null
      ? []
      : [`Closed ${minute(ticket.closedAt)}:\n${quote(ticket.resolution ?? "")}`]),
  ];
  const comments = ticket.comments.map((comment) => {
    const audience = comment.internal ? "INTERNAL, do not quote to the customer" : "visible to the customer";
    return `[${minute(comment.at)}, ${comment.author}, ${audience}]\n${quote(comment.body)}`;
  });
  if (ticket.earlierComments > 0)
    comments.unshift(`(${ticket.earlierComments} earlier comments are not shown.)`);
  return [head.join("\n"), quote(ticket.body), ...comments].join("\n\n");
}

/** Marks every line of what somebody wrote, so that no text can pass for a heading or for somebody else's comment. */
function quote(text: string): string {
  return text
    .split(/\r\n|[\n\r\u2028\u2029]/)
    .map((line) => `> ${line}`)
    .join("\n");
}

/** `2026-08-01T09:30:12.345Z` as `2026-08-01 09:30 UTC`. */
function minute(instant: string): string {
  return `${instant.slice(0, 10)} ${instant.slice(11, 16)} UTC`;
}
