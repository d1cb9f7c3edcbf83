import { describe, expect, test } from "vitest";
import type { TenantId } from "../../src/core/ids.ts";
import { createConfigurationFollower } from "../../src/protocol/configuration-follower.ts";
import { createOpenWork } from "../../src/protocol/open-work.ts";
import type { TenantSnapshot } from "../../src/tenancy/tenant-snapshot.ts";
import { tenantSnapshot } from "../support/tenant-snapshot.ts";

/** A configuration that can be changed, taken away, and made unreadable. */
function follow(tenants: readonly TenantSnapshot[]) {
  const configuration = new Map<TenantId, TenantSnapshot | null | Error>(
    tenants.map((tenant) => [tenant.id, tenant]),
  );
  const openWork = createOpenWork<{ readonly snapshot: TenantSnapshot }>();
  const seen = { read: [] as TenantId[], told: [] as string[], faults: 0, atOnce: 0, reading: 0 };
  const follower = createConfigurationFollower({
    current: async (tenantId) => {
      seen.read.push(tenantId);
      seen.atOnce = Math.max(seen.atOnce, ++seen.reading);
      await new Promise(setImmediate);
      seen.reading--;
      const found = configuration.get(tenantId) ?? null;
      if (found instanceof Error) throw found;
      return found;
    },
    openWork,
    stillHolds: (snapshot) => snapshot.status === "active",
    streams: {
      has: (tenantId) => openWork.has(tenantId),
      changed: async (snapshot) => void seen.told.push(`${snapshot.slug} ${snapshot.version}`),
      announced: async (snapshot, changes) => void seen.told.push(`${snapshot.slug}: ${changes.join(", ")}`),
    },
    onFault: () => {
      seen.faults++;
    },
  });
  return { configuration, openWork, seen, follower };
}

const acme = tenantSnapshot("acme");
const globex = tenantSnapshot("globex");

describe("a change of a tenant", () => {
  test("ends what no longer holds and tells the streams, of that tenant alone", async () => {
    const { configuration, openWork, seen, follower } = follow([acme, globex]);
    const [ofAcme, ofGlobex] = [openWork.begin({ snapshot: acme }), openWork.begin({ snapshot: globex })];
    configuration.set(acme.id, { ...acme, version: 2, status: "suspended" });
    configuration.set(globex.id, { ...globex, version: 2, status: "suspended" });
    follower.changed(acme.id);
    await expect.poll(() => ofAcme.ended?.code).toBe("credentials_ended");
    await expect.poll(() => seen.told).toEqual(["acme 2"]);
    expect(ofGlobex.ended).toBeNull();
  });

  test("that has nothing under way is not even read", async () => {
    const { openWork, seen, follower } = follow([acme, globex]);
    openWork.begin({ snapshot: globex });
    follower.changed(acme.id);
    follower.changed(globex.id);
    await expect.poll(() => seen.told).toEqual(["globex 1"]);
    expect(seen.read).toEqual([globex.id]);
  });

  test("that is gone ends all of its work", async () => {
    const { configuration, openWork, seen, follower } = follow([acme]);
    const work = openWork.begin({ snapshot: acme });
    configuration.set(acme.id, null);
    follower.changed(acme.id);
    await expect.poll(() => work.ended?.code).toBe("credentials_ended");
    expect(seen.told).toEqual([]);
  });

  test("that comes while the one before is looked at is looked at as well", async () => {
    const { configuration, openWork, seen, follower } = follow([acme]);
    openWork.begin({ snapshot: acme });
    follower.changed(acme.id);
    configuration.set(acme.id, { ...acme, version: 2 });
    follower.changed(acme.id);
    await expect.poll(() => seen.told.at(-1)).toBe("acme 2");
    expect(seen.read).toHaveLength(2);
  });
});

test("a change of everybody's reaches all who have work, few at once", async () => {
  const tenants = Array.from({ length: 20 }, (_unused, i) => tenantSnapshot(`tenant-${i}`));
  const { openWork, seen, follower } = follow([...tenants, acme]);
  for (const snapshot of tenants) openWork.begin({ snapshot });
  follower.changed(null);
  await expect.poll(() => seen.told.length).toBe(20);
  expect(new Set(seen.read)).toEqual(new Set(tenants.map((tenant) => tenant.id)));
  expect(seen.atOnce).toBeLessThanOrEqual(3);
});

test("a configuration that cannot be read is tried again until it can, and reported once a round", async () => {
  const { configuration, openWork, seen, follower } = follow([acme, globex]);
  const [ofAcme, ofGlobex] = [openWork.begin({ snapshot: acme }), openWork.begin({ snapshot: globex })];
  for (const tenant of [acme, globex]) configuration.set(tenant.id, new Error("The database is away."));
  follower.changed(null);
  await expect.poll(() => seen.read.length).toBe(2);
  await expect.poll(() => seen.reading).toBe(0);
  expect([seen.faults, ofAcme.ended]).toEqual([1, null]);
  configuration.set(acme.id, { ...acme, version: 2, status: "suspended" });
  configuration.set(globex.id, null);
  follower.retry();
  await expect
    .poll(() => [ofAcme.ended?.code, ofGlobex.ended?.code])
    .toEqual(["credentials_ended", "credentials_ended"]);
  const { length } = seen.read;
  follower.retry();
  expect(seen.read).toHaveLength(length);
});

describe("an announcement", () => {
  test("is told under the configuration as it is now, after what no longer holds has ended", async () => {
    const { configuration, openWork, seen, follower } = follow([acme]);
    const work = openWork.begin({ snapshot: acme });
    configuration.set(acme.id, { ...acme, version: 2, status: "suspended" });
    let toldWhenItEnded: readonly string[] | null = null;
    work.onEnd(() => {
      toldWhenItEnded = [...seen.told];
    });
    await follower.announced(acme.id, ["tools", "prompts"]);
    expect(toldWhenItEnded).toEqual([]);
    expect(seen.told).toEqual(["acme: tools, prompts"]);
  });

  test("of a tenant without streams, or that is gone, is told nobody", async () => {
    const { configuration, openWork, seen, follower } = follow([acme, globex]);
    await follower.announced(globex.id, ["tools"]);
    expect(seen.read).toEqual([]);
    const work = openWork.begin({ snapshot: acme });
    configuration.set(acme.id, null);
    await follower.announced(acme.id, ["tools"]);
    expect([work.ended?.code, seen.told]).toEqual(["credentials_ended", []]);
  });

  test("whose configuration cannot be read fails", async () => {
    const { configuration, openWork, seen, follower } = follow([acme]);
    openWork.begin({ snapshot: acme });
    configuration.set(acme.id, new Error("unreachable"));
    await expect(follower.announced(acme.id, ["tools"])).rejects.toThrow("unreachable");
    expect(seen.told).toEqual([]);
  });
});
