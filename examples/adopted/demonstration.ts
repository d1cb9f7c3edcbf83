import type { DemonstrationTenant } from "bulkhead-mcp";

/** Two tenants: each has somebody who may change things, and somebody who may not. */
export const tenants: readonly DemonstrationTenant[] = [
  {
    slug: "acme",
    name: "Acme Robotics",
    plan: "standard",
    users: [
      { subject: "ada", name: "Ada Moreno", permissions: ["notes:write", "deploys:write"] },
      { subject: "bob", name: "Bob Okafor", permissions: ["notes:read"] },
    ],
  },
  {
    slug: "globex",
    name: "Globex Energy",
    plan: "standard",
    users: [{ subject: "grace", name: "Grace Lindholm", permissions: ["notes:write", "deploys:write"] }],
  },
];
