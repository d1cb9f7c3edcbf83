import { z } from "zod";

/** The greatest number that the table's CHECK admits. */
const GREATEST = 999_999_999;

export const ticketNumber = z.int().min(1).max(GREATEST).describe("The ticket's number, for example 1042.");

/** The number that a URI or a prompt's argument spells, or undefined: those are always text. */
export function parseTicketNumber(text: string): number | undefined {
  return /^[1-9][0-9]{0,8}$/.test(text) ? Number(text) : undefined;
}
