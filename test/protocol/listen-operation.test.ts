import { createServer, request as httpRequest, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { compileCatalog } from "../../src/catalog/catalog.ts";
import { defineResource, defineServer, defineTool } from "../../src/catalog/define.ts";
import { createTenantViews, type Permits } from "../../src/catalog/tenant-view.ts";
import type { AuditFacts } from "../../src/core/audit-row.ts";
import { systemClock } from "../../src/core/clock.ts";
import type { BulkheadEvent } from "../../src/core/event.ts";
import { createIdSource } from "../../src/core/ids.ts";
import type { Refusal } from "../../src/core/refusal.ts";
import { type ChangeStreams, createChangeStreams } from "../../src/protocol/change-streams.ts";
import { createListenOperation, type ListeningCaller } from "../../src/protocol/listen-operation.ts";
import { createOpenWork } from "../../src/protocol/open-work.ts";
import type { TenantSnapshot } from "../../src/tenancy/tenant-snapshot.ts";
import { mcpRequestOf } from "../support/mcp-request-of.ts";
import { readStream, type TestStream } from "../support/open-stream.ts";
import { tenantSnapshot } from "../support/tenant-snapshot.ts";

const catalog = compileCatalog(
  defineServer({
    name: "shop",
    version: "1.0.0",
    tools: [
      defineTool({ name: "sell", description: "Sells.", run: () => "sold" }),
      defineTool({ name: "report", description: "Reports.", toolSet: "reports", run: () => "report" }),
    ],
    resources: [
      defineResource({ name: "guide", uri: "shop://guide", read: () => "Read me." }),
      defineResource({ name: "books", uri: "shop://books/{year}", requires: "money", read: () => "profit" }),
      defineResource({ name: "plan", uri: "shop://plan", toolSet: "reports", read: () => "grow" }),
    ],
  }),
);
const permits: Permits = (granted, required) => required === undefined || granted.has(required);
const views = createTenantViews({ catalog, permits, onCut: () => {} });
const acme = tenantSnapshot("acme");
const caller: ListeningCaller = {
  snapshot: acme,
  principal: {
    tenantId: acme.id,
    kind: "user",
    issuer: "https://issuer.example",
    subject: "ada",
    clientId: null,
    permissions: new Set(),
    roles: [],
    expiresAt: Number.MAX_SAFE_INTEGER,
  },
};

let server: Server;
let onRequest: (res: ServerResponse) => Promise<void>;
beforeAll(async () => {
  server = createServer((_req, res) => void onRequest(res));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

let now: TenantSnapshot | null;
let streams: ChangeStreams;
let events: BulkheadEvent[];
let rows: AuditFacts[];
beforeEach(() => {
  now = acme;
  events = [];
  rows = [];
  streams = createChangeStreams({ clock: systemClock, views, permits });
});

/** Listens for changes of tools as a caller who was known before the configuration became `now`. */
async function open(
  accept?: string,
  notifications: Record<string, unknown> = { toolsListChanged: true },
): Promise<TestStream & { readonly refusal: Refusal | null }> {
  let refusal: Refusal | null = null;
  const operation = createListenOperation<ListeningCaller>({
    clock: systemClock,
    ids: createIdSource(systemClock.now),
    emit: (event) => events.push(event),
    audit: { record: (facts) => void rows.push(facts) },
    catalog,
    streams,
    current: async () => now,
    stillHolds: (snapshot) => snapshot.status === "active",
    views,
    permits,
    serverInfo: "{}",
    grantsOf:
      ({ principal }) =>
      () =>
        principal.permissions,
  });
  onRequest = async (res) => {
    const work = createOpenWork<ListeningCaller>().begin(caller);
    refusal = await operation.open(
      mcpRequestOf({
        method: "subscriptions/listen",
        params: { notifications },
      }),
      res,
      { caller, work, headers: accept === undefined ? {} : { accept }, bytesIn: 17 },
    );
    if (refusal !== null) res.writeHead(400).end();
  };
  const { port } = server.address() as AddressInfo;
  const stream = await readStream(httpRequest({ port, host: "127.0.0.1", agent: false }));
  return { ...stream, refusal };
}

describe("what changed between the moment the caller was known and the opening", () => {
  test.each([
    ["the tenant is suspended", { ...acme, version: 2, status: "suspended" as const }],
    ["the tenant is gone", null],
  ])("keeps the stream closed, without an event: %s", async (_what, snapshot) => {
    now = snapshot;
    expect((await open()).refusal).toEqual({ kind: "refusal", code: "credentials_ended" });
    expect([events, rows]).toEqual([[], []]);
  });

  test("is not told, and what changes from there on is", async () => {
    const withReports = { ...acme, version: 2, toolSets: new Set(["reports"]) };
    now = withReports;
    const stream = await open();
    await streams.changed(withReports);
    await streams.changed({ ...acme, version: 3 });
    await expect
      .poll(() => stream.messages().map(({ method }) => method))
      .toEqual(["notifications/subscriptions/acknowledged", "notifications/tools/list_changed"]);
    stream.destroy();
  });
});

test("an opening leaves one event and one audit row, of a read", async () => {
  const stream = await open();
  await expect.poll(() => stream.messages().length).toBe(1);
  expect(events).toHaveLength(1);
  expect(events[0]).toMatchObject({
    type: "operation",
    tenantId: acme.id,
    actor: { kind: "user", subject: "ada" },
    method: "subscriptions/listen",
    target: null,
    readOnly: true,
    outcome: "ok",
    code: null,
    bytesIn: 17,
    bytesOut: Buffer.byteLength(stream.text()),
    protocolVersion: "2026-07-28",
    access: { reason: "not_required" },
  });
  expect(rows).toMatchObject([{ kind: "outcome", action: "subscriptions/listen", outcome: "ok" }]);
  stream.destroy();
});

describe("Accept", () => {
  test.each([
    "text/event-stream",
    "application/json, text/event-stream",
    "*/*",
    "application/json,TEXT/*;q=0.5",
  ])("%s takes events", async (accept) => {
    const stream = await open(accept);
    expect(stream.refusal).toBeNull();
    stream.destroy();
  });

  test.each(["application/json", "text/html", "application/*", "x-text/event-stream"])(
    "%s does not",
    async (accept) => {
      expect((await open(accept)).refusal?.code).toBe("not_acceptable");
    },
  );
});

test("of the resources asked for those are honoured that the caller may read, in silence about the others", async () => {
  const asked = { resourceSubscriptions: ["shop://books/1999", "shop://guide", "shop://plan", "x"] };
  const honouredNow = async (): Promise<unknown> => {
    const stream = await open(undefined, asked);
    await expect.poll(() => stream.messages().length).toBe(1);
    stream.destroy();
    return stream.messages()[0].params.notifications;
  };
  expect(await honouredNow()).toEqual({ resourceSubscriptions: ["shop://guide"] });
  now = { ...acme, version: 2, toolSets: new Set(["reports"]) };
  expect(await honouredNow()).toEqual({ resourceSubscriptions: ["shop://guide", "shop://plan"] });
});
