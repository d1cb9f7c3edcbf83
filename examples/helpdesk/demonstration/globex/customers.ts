import type { DeskCustomer } from "../desk.ts";

export const customers: readonly DeskCustomer[] = [
  { name: "Elena Petrova", email: "elena@riversideapartments.example", company: "Riverside Apartments" },
  { name: "Marcus Hale", email: "marcus@halebakery.example", company: "Hale Bakery" },
  { name: "Ingrid Vos", email: "ingrid@vosgreenhouses.example", company: "Vos Greenhouses" },
  { name: "Luis Cabrera", email: "luis@cabreracold.example", company: "Cabrera Cold Storage" },
  { name: "Aisha Rahman", email: "aisha@northgateschools.example", company: "Northgate School District" },
  { name: "Peter Novak", email: "peter@novakbrewing.example", company: "Novak Brewing" },
];
