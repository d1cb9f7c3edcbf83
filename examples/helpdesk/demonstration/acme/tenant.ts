import type { DemonstrationTenant } from "bulkhead-mcp";
import { fillDesk } from "../fill-desk.ts";
import { AGENT, LEAD, roles, VIEWER } from "../permissions.ts";
import { closedTickets } from "./closed-tickets.ts";
import { customers } from "./customers.ts";
import { openTickets } from "./open-tickets.ts";

/** Builds robots; on the enterprise plan. */
export const acme: DemonstrationTenant = {
  slug: "acme",
  name: "Acme Robotics",
  plan: "enterprise",
  users: [
    { subject: "ada", name: "Ada Marsh", permissions: LEAD },
    { subject: "ben", name: "Ben Osei", permissions: AGENT },
    { subject: "vic", name: "Vic Tran", permissions: VIEWER },
  ],
  roles,
  async seed({ sql, store }) {
    await store.put("account-manager", { subject: "ada", name: "Ada Marsh" });
    await fillDesk(sql, { customers, tickets: [...closedTickets, ...openTickets] });
  },
};
