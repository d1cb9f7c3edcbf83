import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseCursor, writeCursor } from "../../src/admin/page-cursor.ts";
import { createIdSource } from "../../src/core/ids.ts";
import type { SystemDoor } from "../../src/data/system-door.ts";
import { createTestDatabase } from "../support/database.ts";
import { type AdminServer, startAdminServer } from "./admin-server.ts";

let database: { readonly system: SystemDoor; drop(): Promise<void> };
let server: AdminServer;
const created: string[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startAdminServer(database.system);
  for (let i = 0; i < 250; i++) {
    const { body } = await server.call("POST", "/tenants", {
      body: { slug: `tenant-${i}`, name: `Tenant ${i}` },
    });
    created.push(String(body.id));
  }
  // Fifty more of one instant: only their ids tell them apart.
  const ids = createIdSource(() => 0);
  const together = Array.from({ length: 50 }, () => String(ids.tenant())).sort();
  await database.system.run("set up development", (db) =>
    db.query(
      "INSERT INTO bulkhead.tenants (id, slug, name, plan) SELECT id, 'at-once-' || row_number() OVER (), 'T', 'free' FROM unnest($1::text[]) AS id",
      [together],
    ),
  );
  created.push(...together);
});
afterAll(async () => {
  await server.close();
  await database.drop();
});

const pages = async (query: string): Promise<string[][]> => {
  const found: string[][] = [];
  let cursor: unknown;
  do {
    const next = cursor === undefined ? "" : `&cursor=${encodeURIComponent(String(cursor))}`;
    const { status, body } = await server.call("GET", `/tenants?${query}${next}`);
    expect(status).toBe(200);
    found.push((body.items as { id: string }[]).map((item) => item.id));
    cursor = body.nextCursor;
  } while (cursor !== undefined);
  return found;
};

describe("a list of 300 tenants", () => {
  it.each([
    ["limit=7", 43],
    ["limit=200", 2],
    ["limit=100", 3],
    ["", 6],
  ])("with %j is shown completely, once, in order of creation, on %i pages", async (query, count) => {
    const found = await pages(query);
    expect(found).toHaveLength(count);
    expect(found.flat()).toEqual(created);
  });

  it("goes on where it was although a tenant of the page before has been deleted", async () => {
    const first = await server.call("GET", "/tenants?limit=3");
    await server.call("DELETE", `/tenants/${created[2]}`);
    const second = await server.call("GET", `/tenants?limit=2&cursor=${String(first.body.nextCursor)}`);
    expect((second.body.items as { id: string }[]).map((item) => item.id)).toEqual(created.slice(3, 5));
  });

  it.each([
    ["limit=0", "limit"],
    ["limit=201", "limit"],
    ["limit=1.5", "limit"],
    ["limit=ten", "limit"],
    ["limit=", "limit"],
    ["limit=5&limit=6", "limit"],
    ["cursor=", "cursor"],
    ["cursor=x", "cursor"],
    [`cursor=${Buffer.from("1.tnt_x' OR true").toString("base64url")}`, "cursor"],
    [`cursor=${"A".repeat(5000)}`, "cursor"],
    ["limt=5", "limt"],
  ])("is refused with %s", async (query, path) => {
    const answer = await server.call("GET", `/tenants?${query}`);
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ code: "input_invalid", errors: [{ path }] });
  });
});

it("plans are paged in the same way", async () => {
  const first = await server.call("GET", "/plans?limit=2");
  const second = await server.call("GET", `/plans?limit=2&cursor=${String(first.body.nextCursor)}`);
  const names = [first, second].flatMap((page) =>
    (page.body.items as { name: string }[]).map((plan) => plan.name),
  );
  expect(names.sort()).toEqual(["enterprise", "free", "team"]);
  expect(second.body).not.toHaveProperty("nextCursor");
});

it("a cursor says its position to nobody but the list", () => {
  const position = { createdMicros: "1795200000000000", key: "tnt_01j9zq4v8k3f6r2m7w5x1c0bde" };
  expect(parseCursor(writeCursor(position))).toEqual(position);
  expect(parseCursor("")).toBeNull();
});
