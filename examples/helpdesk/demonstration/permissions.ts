/** What the roles of a demonstration desk may do. */
export const LEAD = [
  "tickets:read",
  "tickets:write",
  "tickets:manage",
  "customers:read",
  "reports:read",
] as const;
export const AGENT = ["tickets:read", "tickets:write", "customers:read"] as const;
export const VIEWER = ["tickets:read"] as const;
