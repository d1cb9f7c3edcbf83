/** Development mode: demonstration tenants, an issuer for each, and tokens without passwords. Never built by `serve`. */
import { randomBytes } from "node:crypto";
import type { Catalog } from "./catalog/catalog.ts";
import type { Clock } from "./core/clock.ts";
import type { EventSink } from "./core/event.ts";
import { Fault } from "./core/fault.ts";
import { type IdSource, parseSlug, type Slug } from "./core/ids.ts";
import { refuse } from "./core/refusal.ts";
import { createDevelopmentIssuers } from "./data/development-issuers.ts";
import { createDevelopmentStorage } from "./data/development-storage.ts";
import type { SystemDoor } from "./data/system-door.ts";
import type { TenantDoor } from "./data/tenant-door.ts";
import type { Demonstrated, Demonstration } from "./demonstration.ts";
import type { Development, DevelopmentTenantAccess } from "./development-access.ts";
import { createDevelopmentAuthorizationServer } from "./identity/development/authorization-server.ts";
import { type DevelopmentIssuer, developmentIssuerUrl } from "./identity/development/development-issuer.ts";
import { signAccessToken } from "./identity/development/sign-access-token.ts";
import { generateSigningKey } from "./identity/development/signing-key.ts";

const TOKEN_SECONDS = 3_600;
/** Name of the broker's issuer: not a slug, so that no tenant can have it. */
const BROKER = "_shared";

/** @throws Fault `setting_invalid` outside development mode, and before anything is written. */
export async function startDevelopment(given: {
  readonly mode: "development" | "production";
  readonly catalog: Catalog;
  readonly demonstration: Demonstration;
  readonly base: string;
  readonly resourceOf: (slug: Slug | null) => string;
  readonly system: SystemDoor;
  readonly door: TenantDoor;
  readonly ids: IdSource;
  readonly clock: Clock;
  readonly emit: EventSink;
}): Promise<Development> {
  const { catalog, base, resourceOf, system, ids, clock } = given;
  const { tenants: demonstrated, usersOf } = given.demonstration;
  const issuers = createDevelopmentIssuers({
    system,
    ids,
    brokerName: BROKER,
    issuerOf: (slug) => developmentIssuerUrl(base, slug ?? BROKER),
    jwksUriOf: (issuer) => `${issuer}/jwks`,
    newSigningKey: async () => ({ ...(await generateSigningKey()) }),
  });
  const issuerOf = async (slug: Slug | null): Promise<DevelopmentIssuer | null> => {
    const record = await issuers.find(slug);
    return (
      record && {
        name: slug ?? BROKER,
        issuer: record.issuer,
        resource: resourceOf(slug),
        tenants: record.tenants.map(({ id, name }) => ({ id, name })),
        users: record.tenants.flatMap((tenant) =>
          usersOf(tenant.slug).map((user) => ({ ...user, tenantId: tenant.id })),
        ),
        // A tenant may name scopes of its own in its metadata, which clients then ask for.
        scopes: [...catalog.permissions, ...record.tenants.flatMap((tenant) => tenant.scopes)],
        signingKey: record.privateKey,
        broker: slug === null,
      }
    );
  };
  const authorizationServer = createDevelopmentAuthorizationServer({
    mode: given.mode,
    baseUrl: base,
    issuerOf: async (name) => {
      const slug = name === BROKER ? null : parseSlug(name);
      return slug === null && name !== BROKER ? null : issuerOf(slug);
    },
    storage: createDevelopmentStorage(system),
    clock,
    fetch: (...request) => globalThis.fetch(...request),
    onFault: (cause) =>
      given.emit({
        type: "fault",
        at: clock.now(),
        level: "warn",
        where: "authorization",
        message: "The development authorization server failed.",
        cause,
      }),
  });
  await given.demonstration.setUp({ system, tenant: given.door, ids });
  await issuers.setUp();

  const signing = { clock, random: randomBytes };
  async function accessTo({ slug, tenant }: Demonstrated): Promise<DevelopmentTenantAccess | null> {
    const [own, broker] = await Promise.all([issuerOf(slug), issuerOf(null)]);
    const [at] = own?.tenants ?? [];
    // Deleted by the operator: its slug never comes back.
    if (own === null || broker === null || at === undefined) return null;
    const [first] = tenant.users;
    if (first === undefined)
      throw new Fault("server_invalid", { detail: `The demonstration tenant ${slug} has no users.` });
    const sign = async (from: DevelopmentIssuer, user: typeof first): Promise<string> => {
      const { subject, permissions } = user;
      const of = { tenantId: at.id, subject, permissions, lifetimeSeconds: TOKEN_SECONDS };
      return (await signAccessToken(from, of, signing)).token;
    };
    return {
      id: at.id,
      slug,
      plan: tenant.plan,
      mcp: own.resource,
      issuer: own.issuer,
      token: await sign(own, first),
      sharedToken: await sign(broker, first),
      users: await Promise.all(
        tenant.users.map(async (user) => ({
          subject: user.subject,
          name: user.name,
          permissions: user.permissions,
          token: await sign(own, user),
        })),
      ),
    };
  }

  return {
    authorizationServer,
    issuer: developmentIssuerUrl(base, BROKER),
    tenants: async () => {
      const found = await Promise.all(demonstrated.map(accessTo));
      return found.filter((access) => access !== null);
    },
    refresh: () => issuers.refresh(),
    scopesOfDemonstrationUser(tenant, { subject, issuer }) {
      const from = [tenant, BROKER].map((name) => developmentIssuerUrl(base, name));
      if (issuer !== null && !from.includes(issuer)) return null;
      return usersOf(tenant).find((user) => user.subject === subject)?.permissions ?? null;
    },
    async issueDevelopmentToken({ tenant, user, subject, scopes, expiresInSeconds, shared }) {
      const issuer = await issuerOf(shared ? null : tenant.slug);
      if (issuer === null || !issuer.tenants.some((one) => one.id === tenant.id)) {
        if (!(await issuers.hasTenant(tenant.id))) return refuse("tenant_not_found");
        return refuse("input_invalid", {
          detail: `${tenant.slug} has no development issuer any more; restart bulkhead dev, which makes it again`,
        });
      }
      const users = issuer.users.filter((one) => one.tenantId === tenant.id);
      const named = user === null ? users[0] : users.find((one) => one.subject === user);
      if (subject === null && named === undefined) {
        const there = users.map((one) => one.subject).join(", ");
        return refuse("input_invalid", { detail: `The tenant's demonstration users are: ${there}.` });
      }
      const permissions = scopes ?? (subject === null ? named?.permissions : undefined);
      if (permissions === undefined) {
        return refuse("input_invalid", {
          detail: "A subject that is no demonstration user needs the scopes named.",
        });
      }
      const of = {
        tenantId: tenant.id,
        subject: subject ?? named?.subject ?? "",
        permissions,
        lifetimeSeconds: expiresInSeconds,
      };
      const { token, expiresAt } = await signAccessToken(issuer, of, signing);
      return {
        token,
        issuer: issuer.issuer,
        audience: issuer.resource,
        subject: of.subject,
        scopes: permissions,
        expiresAt,
      };
    },
  };
}
