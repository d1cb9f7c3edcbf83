import type { DemonstrationTenant } from "bulkhead-mcp";
import { fillDesk } from "../fill-desk.ts";
import { AGENT, LEAD, roles, VIEWER } from "../permissions.ts";
import { customers } from "./customers.ts";
import { tickets } from "./tickets.ts";

/** Sells electricity and heat; on the free plan. */
export const globex: DemonstrationTenant = {
  slug: "globex",
  name: "Globex Energy",
  plan: "free",
  users: [
    { subject: "grace", name: "Grace Lindholm", permissions: LEAD },
    { subject: "hank", name: "Hank Moreau", permissions: AGENT },
    { subject: "vera", name: "Vera Sokolova", permissions: VIEWER },
  ],
  roles,
  seed: ({ sql }) => fillDesk(sql, { customers, tickets }),
};
