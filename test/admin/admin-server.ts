import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdminApi } from "../../src/admin/admin-api.ts";
import type { Administration } from "../../src/admin/administration.ts";
import { systemClock } from "../../src/core/clock.ts";
import type { AdministrativeEvent, BulkheadEvent } from "../../src/core/event.ts";
import { createIdSource } from "../../src/core/ids.ts";
import { createAdministrationRepository } from "../../src/data/administration-repository.ts";
import type { SystemDoor } from "../../src/data/system-door.ts";
import { createOperatorGate } from "../../src/identity/operator-gate.ts";

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

export async function startAdminServer(
  system: SystemDoor,
  alter: (administration: Administration) => Administration = (administration) => administration,
): Promise<AdminServer> {
  const events: BulkheadEvent[] = [];
  let changes = 0;
  let behaviour = (): Promise<void> => Promise.resolve();
  const api = createAdminApi({
    administration: alter(createAdministrationRepository(system)),
    isOperator: createOperatorGate(OPERATOR_TOKEN).admits,
    ids: createIdSource(systemClock.now),
    clock: systemClock,
    emit: (event) => events.push(event),
    mcpUrlOf: (slug) => `http://127.0.0.1:8787/t/${slug}/mcp`,
    afterChange: () => {
      changes++;
      return behaviour();
    },
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
