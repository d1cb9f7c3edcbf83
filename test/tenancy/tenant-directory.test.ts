import { describe, expect, test } from "vitest";
import type { ApiKeyId, IssuerId, Slug, TenantId } from "../../src/core/ids.ts";
import type { ConfigurationChanges, ConfigurationSource } from "../../src/tenancy/configuration-source.ts";
import { createTenantDirectory } from "../../src/tenancy/tenant-directory.ts";
import type { TenantSnapshot, TrustedIssuer } from "../../src/tenancy/tenant-snapshot.ts";
import { createFakeClock } from "../identity/fake-clock.ts";
import { tenantSnapshot } from "../support/tenant-snapshot.ts";

const MAX_STALE_MS = 5_000;
const slug = (text: string) => text as Slug;
const BROKER = "iss_broker" as IssuerId;

/** A configuration in memory whose reads can be held up, and that counts them. */
function fakeSource() {
  const tenants = new Map<string, TenantSnapshot>();
  const slugs = new Map<TenantId, string>();
  const tenantsOfKeys = new Map<string, string>();
  const reads: string[] = [];
  const changed: { version: number; tenant: TenantId | null }[] = [];
  let version = 1;
  let gate: Promise<void> | null = null;
  let answers: Promise<void> | null = null;
  let held = "";
  const afterReading = new Map<string, () => Promise<void>>();
  let failing = false;
  let brokers: readonly TrustedIssuer[] = [];

  const read = async <T>(what: string, find: () => T): Promise<T> => {
    reads.push(what);
    // What is read is what was there when the read began; it arrives later.
    const found = find();
    const failed = failing;
    await (gate ?? Promise.resolve());
    if (what.startsWith(held)) await answers;
    await afterReading.get(what)?.();
    if (failed) throw new TypeError("The database is gone.");
    return found;
  };
  const idOf = (what: string, text: string) =>
    read(what, () => ({ found: tenants.get(text)?.id ?? null, version }));
  const source: ConfigurationSource = {
    idOfSlug: (text) => idOf(`slug ${text}`, text),
    idOfKey: (key) => idOf(`key ${key}`, tenantsOfKeys.get(key) ?? ""),
    idOfClaim: (issuer, value) => idOf(`claim ${issuer} ${value}`, value),
    snapshotOfId: (id) =>
      read(`tenant ${id}`, () => ({
        found: tenants.get(slugs.get(id) ?? "") ?? null,
        version,
      })),
    brokers: () => read("brokers", () => brokers),
    changesSince: (since) =>
      read("changes", (): ConfigurationChanges => {
        const since_ = changed.filter((change) => change.version > since);
        return {
          version,
          tenants: [...new Set(since_.flatMap(({ tenant }) => (tenant === null ? [] : [tenant])))],
          everything: since_.some(({ tenant }) => tenant === null),
        };
      }),
  };
  return {
    source,
    reads,
    count: (what: string) => reads.filter((entry) => entry === what).length,
    /** Stores a tenant as of a new version. */
    put(text: string, change: Partial<TenantSnapshot> = {}): TenantSnapshot {
      const before = tenants.get(text);
      version++;
      const snapshot = { ...(before ?? tenantSnapshot(text)), ...change, version };
      tenants.set(text, snapshot);
      slugs.set(snapshot.id, text);
      changed.push({ version, tenant: snapshot.id });
      return snapshot;
    },
    /** Lets a key lead to a tenant. */
    giveKey(key: ApiKeyId, text: string) {
      tenantsOfKeys.set(key, text);
    },
    changeEverything() {
      version++;
      changed.push({ version, tenant: null });
      for (const [text, snapshot] of tenants) tenants.set(text, { ...snapshot, version });
    },
    setBrokers(found: readonly TrustedIssuer[]) {
      brokers = found;
    },
    fail(yes: boolean) {
      failing = yes;
    },
    /** Runs between each such read and its arrival. */
    afterReading(what: string, task: () => Promise<void>) {
      afterReading.set(what, task);
    },
    /** Holds up what is read from now on and is called so, until the function that it gives is called. */
    holdAnswers(what: string): () => void {
      let open = () => {};
      held = what;
      answers = new Promise((resolve) => {
        open = resolve;
      });
      return () => {
        answers = null;
        open();
      };
    },
    /** Holds up every read from now on, until the function that it gives is called. */
    hold(): () => void {
      let open = () => {};
      gate = new Promise((resolve) => {
        open = resolve;
      });
      return () => {
        gate = null;
        open();
      };
    },
  };
}

async function startDirectory() {
  const configuration = fakeSource();
  const clock = createFakeClock();
  const directory = createTenantDirectory({
    source: configuration.source,
    clock,
    maxStaleMs: MAX_STALE_MS,
  });
  const told: string[] = [];
  directory.onChange((tenant, version) => told.push(`${tenant ?? "everything"} at ${version}`));
  await directory.refresh();
  return { configuration, clock, directory, told };
}
const settle = () => new Promise((resolve) => setTimeout(resolve, 1));

describe("a look-up", () => {
  test("is one read for all who ask at once, and none for who asks later", async () => {
    const { configuration, directory } = await startDirectory();
    const acme = configuration.put("acme");
    const open = configuration.hold();
    const asked = Array.from({ length: 100 }, () => directory.bySlug(slug("acme")));
    expect(asked.every((answer) => answer instanceof Promise)).toBe(true);
    open();
    expect(new Set(await Promise.all(asked))).toEqual(new Set([acme]));
    expect(directory.bySlug(slug("acme"))).toBe(acme);
    expect(configuration.count("slug acme")).toBe(1);
    expect(configuration.count(`tenant ${acme.id}`)).toBe(1);
  });

  test("reads a tenant once, however many keys, claims and names of it are asked for at once", async () => {
    const { configuration, directory } = await startDirectory();
    const acme = configuration.put("acme");
    const keys = Array.from({ length: 40 }, (_, i) => `key_${i}` as ApiKeyId);
    for (const key of keys) configuration.giveKey(key, "acme");
    const all = () => [
      ...keys.map((key) => directory.byKey(key)),
      directory.byClaim(BROKER, "acme"),
      directory.bySlug(acme.slug),
      directory.byName(acme.slug),
      directory.byName(acme.id),
      directory.byId(acme.id),
    ];
    const open = configuration.hold();
    const asked = all();
    open();
    expect(new Set(await Promise.all(asked))).toEqual(new Set([acme]));
    expect(configuration.count(`tenant ${acme.id}`)).toBe(1);
    const reads = configuration.reads.length;
    for (const answer of all()) expect(answer).toBe(acme);
    expect(configuration.reads).toHaveLength(reads);
  });

  test("by claim is of one issuer and one value", async () => {
    const { configuration, directory } = await startDirectory();
    const acme = configuration.put("acme");
    expect(await directory.byClaim(BROKER, "acme")).toBe(acme);
    expect(directory.byClaim(BROKER, "acme")).toBe(acme);
    await directory.byClaim("iss_other" as IssuerId, "acme");
    expect(await directory.byClaim(BROKER, "acm")).toBeNull();
    expect(configuration.reads.filter((read) => read.startsWith("claim"))).toEqual([
      "claim iss_broker acme",
      "claim iss_other acme",
      "claim iss_broker acm",
    ]);
  });

  test("that finds nobody is remembered for a second", async () => {
    const { configuration, clock, directory } = await startDirectory();
    expect(await directory.bySlug(slug("nobody"))).toBeNull();
    clock.advance(999);
    expect(directory.bySlug(slug("nobody"))).toBeNull();
    expect(configuration.count("slug nobody")).toBe(1);
    clock.advance(1);
    expect(await directory.bySlug(slug("nobody"))).toBeNull();
    expect(configuration.count("slug nobody")).toBe(2);
  });

  test("that finds somebody is remembered until a change", async () => {
    const { configuration, clock, directory } = await startDirectory();
    configuration.put("acme");
    await directory.refresh();
    await directory.bySlug(slug("acme"));
    clock.advance(86_400_000);
    expect(directory.bySlug(slug("acme"))).not.toBeInstanceOf(Promise);
  });

  test("that fails is told to who asked, and not remembered", async () => {
    const { configuration, directory } = await startDirectory();
    configuration.put("acme");
    configuration.fail(true);
    await expect(directory.bySlug(slug("acme"))).rejects.toThrow("gone");
    await expect(directory.brokers()).rejects.toThrow("gone");
    configuration.fail(false);
    expect((await directory.bySlug(slug("acme")))?.slug).toBe("acme");
    expect(await directory.brokers()).toEqual([]);
  });

  test("remembers 5,000 misses, and they drive out no tenant", async () => {
    const { configuration, directory } = await startDirectory();
    configuration.put("acme");
    await directory.refresh();
    await directory.bySlug(slug("acme"));
    for (let i = 0; i <= 5_000; i++) directory.bySlug(slug(`t${i}`));
    await settle();
    expect(directory.bySlug(slug("t5000"))).toBeNull();
    expect(directory.bySlug(slug("t1"))).toBeNull();
    expect(directory.bySlug(slug("t0"))).toBeInstanceOf(Promise);
    for (let i = 0; i <= 30_000; i++) directory.bySlug(slug(`u${i}`));
    await settle();
    expect(directory.bySlug(slug("acme"))).not.toBeInstanceOf(Promise);
    expect(configuration.count("slug acme")).toBe(1);
  });

  test("remembers 20,000 tenants, those that were asked for last", async () => {
    const { configuration, directory } = await startDirectory();
    for (let i = 0; i <= 20_000; i++) configuration.put(`t${i}`);
    await directory.refresh();
    for (let i = 0; i < 20_000; i++) directory.bySlug(slug(`t${i}`));
    await settle();
    // Asked for again, so that it is not the next to go.
    expect(directory.bySlug(slug("t0"))).not.toBeInstanceOf(Promise);
    directory.bySlug(slug("t20000"));
    await settle();
    expect(directory.bySlug(slug("t0"))).not.toBeInstanceOf(Promise);
    expect(directory.bySlug(slug("t1"))).toBeInstanceOf(Promise);
  });
});

describe("a change", () => {
  test("replaces the snapshot of that tenant, both ways of finding it, and nobody else's", async () => {
    const { configuration, directory } = await startDirectory();
    configuration.put("acme");
    const globex = configuration.put("globex");
    await directory.refresh();
    for (const text of ["acme", "globex"]) {
      await directory.bySlug(slug(text));
      await directory.byClaim(BROKER, text);
    }
    const changed = configuration.put("acme", { status: "suspended" });
    await directory.refresh();
    expect(directory.bySlug(slug("globex"))).toBe(globex);
    expect(directory.byClaim(BROKER, "globex")).toBe(globex);
    expect(await directory.bySlug(slug("acme"))).toBe(changed);
    expect(await directory.byClaim(BROKER, "acme")).toBe(changed);
  });

  test("makes a tenant found that was not there before", async () => {
    const { configuration, directory } = await startDirectory();
    expect(await directory.bySlug(slug("acme"))).toBeNull();
    const acme = configuration.put("acme");
    expect(directory.bySlug(slug("acme"))).toBeNull();
    await directory.refresh();
    expect(await directory.bySlug(slug("acme"))).toBe(acme);
  });

  test("of everything replaces all snapshots and the brokers", async () => {
    const { configuration, directory, told } = await startDirectory();
    configuration.put("acme");
    configuration.put("globex");
    await directory.refresh();
    told.length = 0;
    await directory.bySlug(slug("acme"));
    await directory.byClaim(BROKER, "globex");
    await directory.brokers();
    expect(directory.brokers()).not.toBeInstanceOf(Promise);
    configuration.changeEverything();
    configuration.setBrokers([{ id: BROKER } as TrustedIssuer]);
    await directory.refresh();
    expect((await directory.bySlug(slug("acme")))?.version).toBe(4);
    expect((await directory.byClaim(BROKER, "globex"))?.version).toBe(4);
    expect(await directory.brokers()).toEqual([{ id: BROKER }]);
    expect(told).toEqual(["everything at 4"]);
  });

  test("of a tenant leaves the brokers as they are", async () => {
    const { configuration, directory } = await startDirectory();
    const brokers = await directory.brokers();
    configuration.put("acme");
    await directory.refresh();
    expect(directory.brokers()).toBe(brokers);
  });

  test("while a look-up is under way is not lost", async () => {
    const { configuration, directory } = await startDirectory();
    configuration.put("acme");
    await directory.refresh();
    const open = configuration.hold();
    const early = directory.bySlug(slug("acme"));
    const earlyClaim = directory.byClaim(BROKER, "acme");
    open();
    // The look-up has read the old snapshot, and it has not arrived when the change is heard of.
    const held = configuration.hold();
    const late = directory.bySlug(slug("globex"));
    const suspended = configuration.put("acme", { status: "suspended" });
    held();
    await directory.refresh();
    await Promise.all([early, earlyClaim, late]);
    expect(await directory.bySlug(slug("acme"))).toBe(suspended);
    expect(await directory.byClaim(BROKER, "acme")).toBe(suspended);
  });

  test("heard of before a look-up arrives is in its answer, for who asked before and after, by one reading more", async () => {
    const { configuration, directory } = await startDirectory();
    const acme = configuration.put("acme");
    await directory.refresh();
    for (const change of ["of the tenant", "of everything"]) {
      configuration.put("acme", { status: "active" });
      await directory.refresh();
      const before = configuration.count(`tenant ${acme.id}`);
      const arrive = configuration.holdAnswers(`tenant ${acme.id}`);
      const early = [directory.bySlug(slug("acme")), directory.byClaim(BROKER, "acme")];
      await expect.poll(() => configuration.count(`tenant ${acme.id}`)).toBe(before + 1);
      configuration.put("acme", { status: "suspended" });
      if (change === "of everything") configuration.changeEverything();
      await directory.refresh();
      const late = [directory.bySlug(slug("acme")), directory.byId(acme.id)];
      // Who asks after the change joins what is under way: a tenant never takes a second connection.
      await settle();
      expect(configuration.count(`tenant ${acme.id}`)).toBe(before + 1);
      arrive();
      const answers = await Promise.all([...early, ...late]);
      expect(answers.map((answer) => answer?.status)).toEqual(Array(4).fill("suspended"));
      expect(new Set(answers).size).toBe(1);
      expect(configuration.count(`tenant ${acme.id}`)).toBe(before + 2);
      expect(directory.bySlug(slug("acme"))).toBe(answers[0]);
    }
  });

  test("that a look-up under way has read already, or that is another tenant's, makes it read nothing again", async () => {
    const { configuration, directory } = await startDirectory();
    configuration.put("globex");
    await directory.refresh();
    const acme = configuration.put("acme");
    const arrive = configuration.holdAnswers(`tenant ${acme.id}`);
    const asked = directory.byId(acme.id);
    // Heard of only now, though what is being read is newer.
    await directory.refresh();
    configuration.put("globex", { status: "suspended" });
    await directory.refresh();
    arrive();
    expect(await asked).toBe(acme);
    expect(directory.byId(acme.id)).toBe(acme);
    expect(configuration.count(`tenant ${acme.id}`)).toBe(1);
  });

  test("that makes a tenant, heard of before a look-up misses it, is found all the same", async () => {
    const { configuration, directory } = await startDirectory();
    const arrive = configuration.holdAnswers("slug acme");
    const asked = directory.bySlug(slug("acme"));
    const acme = configuration.put("acme");
    await directory.refresh();
    arrive();
    expect(await asked).toBe(acme);
  });

  test("with every reading is told as configuration that cannot be read, after five, and the next one reads again", async () => {
    const { configuration, directory } = await startDirectory();
    const acme = configuration.put("acme");
    await directory.refresh();
    configuration.afterReading(`tenant ${acme.id}`, async () => {
      configuration.put("acme");
      await directory.refresh();
    });
    await expect(directory.byId(acme.id)).rejects.toMatchObject({ code: "configuration_stale" });
    expect(configuration.count(`tenant ${acme.id}`)).toBe(5);
    configuration.afterReading(`tenant ${acme.id}`, async () => {});
    expect((await directory.byId(acme.id))?.version).toBe(7);
  });

  test("of brokers heard of before they arrive is in what is asked for afterwards", async () => {
    const { configuration, directory } = await startDirectory();
    const arrive = configuration.holdAnswers("brokers");
    const early = directory.brokers();
    configuration.setBrokers([{ id: BROKER } as TrustedIssuer]);
    configuration.changeEverything();
    await directory.refresh();
    const later = directory.brokers();
    arrive();
    expect(await early).toEqual([]);
    expect(await later).toEqual([{ id: BROKER }]);
    expect(await directory.brokers()).toEqual([{ id: BROKER }]);
  });

  test("is told to listeners: exactly the tenants that changed, once each, and not the start", async () => {
    const { configuration, directory, told } = await startDirectory();
    expect(told).toEqual([]);
    const acme = configuration.put("acme");
    configuration.put("acme");
    const globex = configuration.put("globex");
    await directory.refresh();
    expect(told).toEqual([`${acme.id} at 4`, `${globex.id} at 4`]);
    await directory.refresh();
    await directory.refresh();
    expect(told).toHaveLength(2);
    configuration.put("globex");
    await directory.refresh();
    expect(told.slice(2)).toEqual([`${globex.id} at 5`]);
    expect(directory.version()).toBe(5);
  });
});

describe("a refresh", () => {
  test("is one read at a time: all who ask meanwhile share the next", async () => {
    const { configuration, directory } = await startDirectory();
    const before = configuration.count("changes");
    const open = configuration.hold();
    const first = directory.refresh();
    const later = Array.from({ length: 50 }, () => directory.refresh());
    expect(configuration.count("changes")).toBe(before + 1);
    open();
    await Promise.all([first, ...later]);
    expect(configuration.count("changes")).toBe(before + 2);
    await directory.refresh();
    expect(configuration.count("changes")).toBe(before + 3);
  });

  test("that was asked for after a change sees it, though one was under way", async () => {
    const { configuration, directory } = await startDirectory();
    const open = configuration.hold();
    const early = directory.refresh();
    const acme = configuration.put("acme");
    const after = directory.refresh();
    open();
    await early;
    expect(directory.version()).toBe(1);
    await after;
    expect(directory.version()).toBe(acme.version);
  });

  test("that fails is told, and the next one is not held up by it", async () => {
    const { configuration, directory } = await startDirectory();
    configuration.fail(true);
    const failing = directory.refresh();
    configuration.fail(false);
    const next = directory.refresh();
    await expect(failing).rejects.toThrow("gone");
    await next;
    await directory.refresh();
  });

  test("keeps the configuration fresh for the bound, and it is not fresh without", async () => {
    const configuration = fakeSource();
    const clock = createFakeClock();
    const directory = createTenantDirectory({
      source: configuration.source,
      clock,
      maxStaleMs: MAX_STALE_MS,
    });
    expect(directory.isFresh()).toBe(false);
    await directory.refresh();
    expect(directory.isFresh()).toBe(true);
    clock.advance(MAX_STALE_MS);
    expect(directory.isFresh()).toBe(true);
    configuration.fail(true);
    await expect(directory.refresh()).rejects.toThrow();
    clock.advance(1);
    expect(directory.isFresh()).toBe(false);
    await expect(directory.refresh()).rejects.toThrow();
    expect(directory.isFresh()).toBe(false);
    configuration.fail(false);
    await directory.refresh();
    expect(directory.isFresh()).toBe(true);
  });

  test("is as old as the moment in which it was asked for, not as that of its answer", async () => {
    const { configuration, clock, directory } = await startDirectory();
    const open = configuration.hold();
    const slow = directory.refresh();
    clock.advance(MAX_STALE_MS + 1);
    expect(directory.isFresh()).toBe(false);
    open();
    await slow;
    expect(directory.isFresh()).toBe(false);
    await directory.refresh();
    expect(directory.isFresh()).toBe(true);
  });
});
