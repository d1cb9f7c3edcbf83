import type { DemonstrationTenant } from "bulkhead-mcp";

/** One tenant for each suite that runs, so that none hears of what another changes. */
export const tenants: readonly DemonstrationTenant[] = [
  tenant("acme", "Acme Robotics", { subject: "ada", name: "Ada Moreno" }),
  tenant("globex", "Globex Energy", { subject: "grace", name: "Grace Lindholm" }),
  tenant("initech", "Initech Software", { subject: "ivan", name: "Ivan Petrov" }),
];

function tenant(slug: string, name: string, user: { subject: string; name: string }): DemonstrationTenant {
  return { slug, name, plan: "unlimited", users: [{ ...user, permissions: [] }] };
}
