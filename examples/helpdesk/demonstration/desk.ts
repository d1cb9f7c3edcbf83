import type { TicketSummary } from "../tickets/ticket.ts";

/** A customer of a demonstration desk. */
export interface DeskCustomer {
  readonly name: string;
  /** In lower case. */
  readonly email: string;
  readonly company: string;
}

export interface DeskComment {
  /** A subject of the tenant, or the customer's e-mail address. */
  readonly author: string;
  readonly body: string;
  readonly internal?: true;
  /** Hours after the ticket was opened. */
  readonly afterHours: number;
}

/** A ticket of a demonstration desk. Times are relative, so that the desk looks alive whenever it is set up. */
export interface DeskTicket {
  readonly subject: string;
  readonly body: string;
  /** E-mail address of one of the desk's customers. */
  readonly customer: string;
  readonly priority?: TicketSummary["priority"];
  readonly pending?: true;
  readonly assignee?: string;
  readonly openedBy: string;
  readonly openedHoursAgo: number;
  readonly closed?: { readonly afterHours: number; readonly resolution: string };
  readonly comments?: readonly DeskComment[];
}

export interface Desk {
  readonly customers: readonly DeskCustomer[];
  /** In any order: numbers are given by age. */
  readonly tickets: readonly DeskTicket[];
}
