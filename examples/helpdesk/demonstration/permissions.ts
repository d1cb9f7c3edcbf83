/** What the people of a demonstration desk may do. */
export const LEAD = [
  "tickets:read",
  "tickets:write",
  "tickets:manage",
  "customers:read",
  "reports:read",
] as const;
export const AGENT = ["tickets:read", "tickets:write", "customers:read"] as const;
export const VIEWER = ["tickets:read"] as const;

/** The same as roles of the tenant, which an administrator gives to people whose tokens say less. */
export const roles = { lead: LEAD, agent: AGENT, viewer: VIEWER };
