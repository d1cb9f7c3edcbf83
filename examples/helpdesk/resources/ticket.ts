import { defineResource } from "bulkhead-mcp";
import { findTicket } from "../tickets/find-ticket.ts";
import { parseTicketNumber } from "../tickets/ticket-number.ts";

export const ticketResource = defineResource({
  uri: "helpdesk://tickets/{number}",
  name: "ticket",
  title: "Ticket",
  description: "One ticket with its customer and comments, as get_ticket gives it.",
  mimeType: "application/json",
  requires: "tickets:read",

  async read(variables, ctx) {
    const number = parseTicketNumber(variables.number ?? "");
    return number === undefined ? undefined : findTicket(ctx.sql, number);
  },
});
