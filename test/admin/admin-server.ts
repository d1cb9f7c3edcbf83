import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import helpdesk from "../../examples/helpdesk/server.ts";
import { type AdminApiOptions, createAdminApi } from "../../src/admin/admin-api.ts";
import { createAdminCallers } from "../../src/admin/admin-callers.ts";
import type { Administration } from "../../src/admin/administration.ts";
import { compileCatalog } from "../../src/catalog/catalog.ts";
import { createTenantViews } from "../../src/catalog/tenant-view.ts";
import { systemClock } from "../../src/core/clock.ts";
import type { AdministrativeEvent, BulkheadEvent } from "../../src/core/event.ts";
import { createIdSource } from "../../src/core/ids.ts";
import { refuse } from "../../src/core/refusal.ts";
import { createAdministrationRepository } from "../../src/data/administration-repository.ts";
import { createConfigurationSource } from "../../src/data/configuration-repository.ts";
import type { SystemDoor } from "../../src/data/system-door.ts";
import { createAccessPolicy } from "../../src/identity/access-policy.ts";
import { createOperatorGate } from "../../src/identity/operator-gate.ts";
import { createAddressLimiter } from "../../src/limits/address-limiter.ts";
import { createTenantRateLimiter } from "../../src/limits/tenant-rate-limiter.ts";
import { createTenantDirectory } from "../../src/tenancy/tenant-directory.ts";

export const OPERATOR_TOKEN = "operator-token-of-this-test-0123456789";

/** An answer of the admin API with its body parsed. */
export interface AdminAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

export interface AdminCall {
  /** Sent as JSON; a string is sent as it is. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Null: no Authorization header. Absent: the operator's token. */
  readonly token?: string | null;
}

/** The admin API behind a real HTTP server. */
export interface AdminServer {
  readonly port: number;
  readonly events: BulkheadEvent[];
  /** How often instances were to be told of a change. */
  changes(): number;
  /** What telling them does from now on. */
  onChange(behaviour: () => Promise<void>): void;
  call(method: string, path: string, options?: AdminCall): Promise<AdminAnswer>;
  /** The events of one kind since the last look, which empties the list. */
  takeActs(): AdministrativeEvent[];
  close(): Promise<void>;
}

/** @param ports in place of those that know the operator alone. */
export async function startAdminServer(
  system: SystemDoor,
  alter: (administration: Administration) => Administration = (administration) => administration,
  ports: Partial<AdminApiOptions> = {},
): Promise<AdminServer> {
  const events: BulkheadEvent[] = [];
  let changes = 0;
  let behaviour = (): Promise<void> => Promise.resolve();
  const catalog = compileCatalog(helpdesk);
  const policy = createAccessPolicy(catalog.hierarchy);
  const directory = createTenantDirectory({
    source: createConfigurationSource(system),
    clock: systemClock,
    maxStaleMs: 5_000,
  });
  const api = createAdminApi({
    administration: alter(createAdministrationRepository(system)),
    authenticate: createAdminCallers({
      gate: createOperatorGate(OPERATOR_TOKEN),
      authenticator: { administrator: async () => refuse("operator_token_required") },
      addresses: createAddressLimiter(systemClock),
      rates: createTenantRateLimiter(systemClock),
    }),
    accessPorts: {
      policy,
      views: createTenantViews({
        catalog,
        permits: (granted, required) => policy.decide(granted, required).allowed,
        onCut: () => {},
      }),
      snapshotOf: directory.byName,
      scopesOfDemonstrationUser: null,
    },
    development: null,
    ids: createIdSource(systemClock.now),
    clock: systemClock,
    emit: (event) => events.push(event),
    mcpUrlOf: (slug) => `http://127.0.0.1:8787${slug === null ? "" : `/t/${slug}`}/mcp`,
    random: randomBytes,
    issuers: {
      allowLoopback: false,
      discoverIssuer: async () => "this test asks nobody",
      sealSecret: () => null,
    },
    refusedMeanwhile: async () => null,
    bodyTimeoutMs: 15_000,
    afterChange: () => {
      changes++;
      return behaviour();
    },
    ...ports,
  });
  const server = createServer((req, res) => api.handle(req, res));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;

  return {
    port,
    events,
    changes: () => changes,
    onChange: (next) => {
      behaviour = next;
    },
    async call(method, path, options = {}) {
      const headers = new Headers(options.headers);
      const token = options.token === undefined ? OPERATOR_TOKEN : options.token;
      if (token !== null) headers.set("Authorization", `Bearer ${token}`);
      const sent = options.body === undefined ? null : text(options.body);
      if (sent !== null && !headers.has("Content-Type")) headers.set("Content-Type", "application/json");
      const answer = await fetch(`http://127.0.0.1:${port}/admin/v1${path}`, { method, headers, body: sent });
      const received = await answer.text();
      return {
        status: answer.status,
        headers: answer.headers,
        body: received === "" ? {} : (JSON.parse(received) as Record<string, unknown>),
      };
    },
    takeActs: () =>
      events.splice(0).filter((event): event is AdministrativeEvent => event.type === "administrative"),
    close: () =>
      new Promise<void>((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
        server.closeAllConnections();
      }),
  };
}

function text(body: unknown): string {
  return typeof body === "string" ? body : JSON.stringify(body);
}
