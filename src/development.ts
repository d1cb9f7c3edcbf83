/** Development mode: demonstration tenants, an issuer for each, and tokens without passwords. Never built by `serve`. */
import type { Catalog } from "./catalog/catalog.ts";
import type { DemonstrationTenant, DevelopmentDefinition } from "./catalog/define.ts";
import type { Clock } from "./core/clock.ts";
import type { EventSink } from "./core/event.ts";
import { Fault } from "./core/fault.ts";
import { type IdSource, parseSlug, type Slug } from "./core/ids.ts";
import { setUpDevelopment } from "./data/development-setup.ts";
import type { SystemDoor } from "./data/system-door.ts";
import type { TenantDoor } from "./data/tenant-door.ts";
import type { Development } from "./development-access.ts";
import { createDevelopmentAuthorizationServer } from "./identity/development/authorization-server.ts";
import { developmentIssuerUrl } from "./identity/development/development-issuer.ts";
import { generateSigningKey } from "./identity/development/signing-key.ts";

const TOKEN_SECONDS = 3_600;
/** Name of the broker's issuer: not a slug, so that no tenant can have it. */
const BROKER = "_shared";

export async function startDevelopment(given: {
  readonly catalog: Catalog;
  readonly base: string;
  readonly resourceOf: (slug: Slug | null) => string;
  readonly system: SystemDoor;
  readonly door: TenantDoor;
  readonly ids: IdSource;
  readonly clock: Clock;
  readonly emit: EventSink;
}): Promise<Development> {
  const { catalog, base, resourceOf, clock } = given;
  const definition = catalog.server.development ?? defaultDevelopment(catalog.permissions);
  const demonstrated = definition.tenants.map((tenant) => ({ tenant, slug: checkedSlug(tenant.slug) }));
  const issuers = await setUpDevelopment(
    { system: given.system, tenant: given.door, ids: given.ids },
    {
      plans: definition.plans ?? {},
      tenants: demonstrated.map(({ tenant, slug }) => ({
        slug,
        name: tenant.name,
        plan: tenant.plan,
        seed: async (into) => tenant.seed?.(into),
      })),
      issuerOf: (slug) => developmentIssuerUrl(base, slug ?? BROKER),
      jwksUriOf: (issuer) => `${issuer}/jwks`,
      newSigningKey: async () => ({ ...(await generateSigningKey()) }),
    },
  );

  const all = issuers.flatMap(({ slug, tenantId }) =>
    slug === null || tenantId === null ? [] : [{ slug, id: tenantId }],
  );
  const usersOf = (slug: Slug): DemonstrationTenant["users"] =>
    demonstrated.find((entry) => entry.slug === slug)?.tenant.users ?? [
      { subject: "developer", name: "Developer", permissions: catalog.permissions },
    ];
  const nameOf = (slug: Slug): string =>
    demonstrated.find((entry) => entry.slug === slug)?.tenant.name ?? slug;
  const authorizationServer = createDevelopmentAuthorizationServer({
    baseUrl: base,
    scopes: catalog.permissions,
    clock,
    onFault: (cause) =>
      given.emit({
        type: "fault",
        at: clock.now(),
        level: "warn",
        where: "authorization",
        message: "The development authorization server failed.",
        cause,
      }),
    issuers: issuers.map((record) => {
      const own = record.slug === null ? all : all.filter((tenant) => tenant.slug === record.slug);
      return {
        name: record.slug ?? BROKER,
        issuer: record.issuer,
        tenants: own.map(({ slug, id }) => ({
          id,
          slug,
          name: nameOf(slug),
          resource: resourceOf(record.slug === null ? null : slug),
        })),
        users: own.flatMap(({ slug, id }) => usersOf(slug).map((user) => ({ ...user, tenantId: id }))),
        signingKey: record.privateKey,
        broker: record.slug === null,
      };
    }),
  });
  const broker = developmentIssuerUrl(base, BROKER);

  return {
    authorizationServer,
    issuer: broker,
    tenants: () =>
      Promise.all(
        demonstrated.flatMap(({ tenant, slug }) => {
          const id = all.find((entry) => entry.slug === slug)?.id;
          // Deleted by the operator: its slug never comes back.
          if (id === undefined) return [];
          const issuer = developmentIssuerUrl(base, slug);
          const sign = (
            user: DemonstrationTenant["users"][number],
            from: string,
            resource: string,
          ): Promise<string> =>
            authorizationServer.issueToken({
              issuer: from,
              tenantId: id,
              subject: user.subject,
              resource,
              permissions: user.permissions,
              lifetimeSeconds: TOKEN_SECONDS,
            });
          return [
            (async () => {
              const first = tenant.users[0];
              if (first === undefined)
                throw new Fault("server_invalid", {
                  detail: `The demonstration tenant ${slug} has no users.`,
                });
              const mcp = resourceOf(slug);
              return {
                id,
                slug,
                plan: tenant.plan,
                mcp,
                issuer,
                token: await sign(first, issuer, mcp),
                sharedToken: await sign(first, broker, resourceOf(null)),
                users: await Promise.all(
                  tenant.users.map(async (user) => ({
                    subject: user.subject,
                    name: user.name,
                    permissions: user.permissions,
                    token: await sign(user, issuer, mcp),
                  })),
                ),
              };
            })(),
          ];
        }),
      ),
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
