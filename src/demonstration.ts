/** The demonstration tenants of a server module: who they are, and what they begin with. */
import type { Catalog } from "./catalog/catalog.ts";
import type { DemonstrationTenant, DevelopmentDefinition } from "./catalog/define.ts";
import { Fault } from "./core/fault.ts";
import { parseSlug, type Slug } from "./core/ids.ts";
import { isPermissionPattern } from "./core/permission.ts";
import { setUpDevelopment } from "./data/development-setup.ts";
import type { Roles } from "./tenancy/tenant-snapshot.ts";

export interface Demonstrated {
  readonly slug: Slug;
  readonly tenant: DemonstrationTenant;
}

export interface Demonstration {
  /** In the module's order. */
  readonly tenants: readonly Demonstrated[];
  /** People of a tenant of the module's; of any other tenant one, who may do everything. */
  usersOf(slug: Slug): DemonstrationTenant["users"];
  /** Makes plans and tenants with their data, where they are not there. May be called again after it was interrupted anywhere. */
  setUp(doors: Parameters<typeof setUpDevelopment>[0]): Promise<void>;
}

/** @throws Fault `server_invalid` for tenants that could not be made, before anything is written. */
export function createDemonstration(catalog: Catalog): Demonstration {
  const definition = catalog.server.development ?? defaultDevelopment(catalog.permissions);
  const tenants = definition.tenants.map((tenant) => ({ tenant, slug: checkedSlug(tenant.slug) }));
  return {
    tenants,
    usersOf: (slug) =>
      tenants.find((entry) => entry.slug === slug)?.tenant.users ?? [
        { subject: "developer", name: "Developer", permissions: catalog.permissions },
      ],
    setUp: (doors) =>
      setUpDevelopment(doors, {
        plans: definition.plans ?? {},
        tenants: tenants.map(({ tenant, slug }) => ({
          slug,
          name: tenant.name,
          plan: tenant.plan,
          roles: checkedRoles(tenant),
          seed: async (into) => tenant.seed?.(into),
        })),
      }),
  };
}

/** For a module that defines no development tenants: two, with one user each who may do everything. */
function defaultDevelopment(permissions: readonly string[]): DevelopmentDefinition {
  return {
    tenants: [
      {
        slug: "acme",
        name: "Acme",
        plan: "enterprise",
        users: [{ subject: "ada", name: "Ada", permissions }],
      },
      {
        slug: "globex",
        name: "Globex",
        plan: "free",
        users: [{ subject: "grace", name: "Grace", permissions }],
      },
    ],
  };
}

function checkedSlug(text: string): Slug {
  const slug = parseSlug(text);
  if (slug === null)
    throw new Fault("server_invalid", { detail: `${JSON.stringify(text)} is not a tenant's slug.` });
  return slug;
}

/** As the admin API takes them: a name and a permission that it refuses could not be changed there either. */
function checkedRoles({ slug, roles = {} }: DemonstrationTenant): Roles {
  for (const [name, permissions] of Object.entries(roles)) {
    if (!/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$/.test(name) || !permissions.every(isPermissionPattern)) {
      throw new Fault("server_invalid", {
        detail: `The role ${JSON.stringify(name)} of the demonstration tenant ${slug} has a name or a permission that none can have.`,
      });
    }
  }
  return roles;
}
