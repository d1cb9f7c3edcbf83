import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createIdSource } from "../../src/core/ids.ts";
import type { JsonObject } from "../../src/protocol/json-rpc.ts";
import { NOTHING_YET, type ReplayState } from "../../src/protocol/replay.ts";
import {
  createRequestStates,
  type RequestStates,
  type StateKey,
  type StateOwner,
} from "../../src/protocol/request-state.ts";
import type { Principal } from "../../src/tenancy/principal.ts";

const ids = createIdSource(() => 1_000);
const newKey = (id: string): StateKey => ({ id, key: randomBytes(32) });

/** States of one instance, whose clock and keys the test holds. */
function instance(
  keys: readonly StateKey[],
  time = { now: 1_000_000 },
): RequestStates & { time: { now: number } } {
  const states = createRequestStates({
    keys: {
      sealing: () => {
        const [first] = keys;
        if (first === undefined) throw new TypeError("no key");
        return first;
      },
      find: (id) => keys.find((key) => key.id === id) ?? null,
    },
    clock: { now: () => time.now },
  });
  return { ...states, time };
}

const principal: Principal = {
  tenantId: ids.tenant(),
  kind: "user",
  issuer: "https://issuer.example",
  subject: "ada",
  clientId: "client",
  permissions: new Set(),
  roles: [],
  expiresAt: 0,
};
const owner: StateOwner = {
  principal,
  request: {
    method: "tools/call",
    name: "pay",
    params: { name: "pay", arguments: { to: "bob", amount: 10, parts: [{ a: 1, b: null }] } },
  },
};
const state: ReplayState = { answers: { a: '{"x":1}' }, asked: { a: "digest" }, steps: { s: "" } };

function withArguments(args: unknown): StateOwner {
  return { ...owner, request: { ...owner.request, params: { name: "pay", arguments: args } } };
}

describe("a state", () => {
  const key = newKey("k1");

  test("opens on another instance for the same caller and request, again and again while it lives", () => {
    const [here, there] = [instance([key]), instance([key])];
    const text = here.seal(state, owner);
    expect(there.open(text, owner)).toEqual(state);
    there.time.now += 15 * 60_000 - 1;
    expect(there.open(text, owner)).toEqual(state);
    expect(here.seal(state, owner)).not.toBe(text);
  });

  test("is over after fifteen minutes", () => {
    const here = instance([key]);
    const text = here.seal(state, owner);
    here.time.now += 15 * 60_000;
    expect(here.open(text, owner)).toBeNull();
  });

  test("shows its bearer nothing of what is in it", () => {
    const text = instance([key]).seal({ ...NOTHING_YET, steps: { secret: '"hunter2"' } }, owner);
    expect(text).toMatch(/^1\.k1\.[A-Za-z0-9_-]+$/);
    expect(Buffer.from(text.split(".")[2] ?? "", "base64url").toString("latin1")).not.toMatch(
      /secret|hunter2|ada/,
    );
  });

  test.each<[string, StateOwner]>([
    ["another tenant", { ...owner, principal: { ...principal, tenantId: ids.tenant() } }],
    ["another subject", { ...owner, principal: { ...principal, subject: "eve" } }],
    [
      "the same subject of another issuer",
      { ...owner, principal: { ...principal, issuer: "https://other.example" } },
    ],
    ["the same user through another client", { ...owner, principal: { ...principal, clientId: "other" } }],
    ["another kind of caller", { ...owner, principal: { ...principal, kind: "client" } }],
    ["another method", { ...owner, request: { ...owner.request, method: "prompts/get" } }],
    ["another tool", { ...owner, request: { ...owner.request, name: "refund" } }],
    ["another argument", withArguments({ to: "bob", amount: 1000, parts: [{ a: 1, b: null }] })],
    ["an argument more", withArguments({ to: "bob", amount: 10, parts: [{ a: 1, b: null }], now: true })],
    ["no arguments", { ...owner, request: { ...owner.request, params: {} } }],
    ["an argument of another type", withArguments({ to: "bob", amount: "10", parts: [{ a: 1, b: null }] })],
    ["arguments in another nesting", withArguments({ to: "bob", amount: 10, parts: [[{ a: 1, b: null }]] })],
    ["an item in two", withArguments({ to: "bob", amount: 10, parts: [{ a: 1 }, { b: null }] })],
  ])("does not open for %s", (_name, other) => {
    const here = instance([key]);
    expect(here.open(here.seal(state, owner), other)).toBeNull();
    expect(here.open(here.seal(state, other), other)).toEqual(state);
  });

  test("opens whatever the order of the arguments, and with what is no argument changed", () => {
    const here = instance([key]);
    const other: JsonObject = {
      inputResponses: { a: {} },
      _meta: { progressToken: 7 },
      arguments: { parts: [{ b: null, a: 1 }], amount: 10, to: "bob" },
      name: "pay",
    };
    expect(
      here.open(here.seal(state, owner), { ...owner, request: { ...owner.request, params: other } }),
    ).toEqual(state);
  });

  test("stays good when a newer key is sealed with, and is not when its key is gone", () => {
    const text = instance([key]).seal(state, owner);
    expect(instance([newKey("k2"), key]).open(text, owner)).toEqual(state);
    expect(instance([newKey("k2")]).open(text, owner)).toBeNull();
    expect(instance([newKey("k1")]).open(text, owner)).toBeNull();
  });

  test("waits for a key that must be read first", async () => {
    const text = instance([key]).seal(state, owner);
    const late = createRequestStates({
      keys: { sealing: () => key, find: () => Promise.resolve(key) },
      clock: { now: () => 1_000_000 },
    });
    expect(await late.open(text, owner)).toEqual(state);
  });

  test("takes arguments of any depth and number", () => {
    const here = instance([key]);
    let deep: unknown = 1;
    for (let i = 0; i < 1_000; i++) deep = [deep];
    const wide = Array.from({ length: 200_000 }, (_, i) => i);
    for (const args of [{ deep }, { wide }]) {
      const text = here.seal(state, withArguments(args));
      expect(here.open(text, withArguments(args))).toEqual(state);
      expect(here.open(text, withArguments({}))).toBeNull();
    }
  });
});

describe("what is no state opens nothing", () => {
  const key = newKey("k1");
  const here = instance([key]);
  const text = here.seal(state, owner);

  test("any one character changed, left out or put in", () => {
    const alphabet = [..."AZaz09-_.= \u0000é"];
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.constantFrom(...alphabet), (at, character) => {
        const changed = text.slice(0, at) + character + text.slice(at + 1);
        if (changed !== text) expect(here.open(changed, owner)).toBeNull();
        expect(here.open(text.slice(0, at) + text.slice(at + 1), owner)).toBeNull();
        expect(here.open(text.slice(0, at) + character + text.slice(at), owner)).toBeNull();
      }),
      { numRuns: 500 },
    );
  });

  test("any bit of what is sealed changed, and any end of it cut off", () => {
    const sealed = Buffer.from(text.split(".")[2] ?? "", "base64url");
    for (let at = 0; at < sealed.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const changed = Buffer.from(sealed);
        changed[at] = (changed[at] ?? 0) ^ (1 << bit);
        expect(here.open(`1.k1.${changed.toString("base64url")}`, owner)).toBeNull();
      }
      expect(here.open(`1.k1.${sealed.subarray(0, at).toString("base64url")}`, owner)).toBeNull();
    }
  });

  test("another text of the same bytes", () => {
    // Of the last character only some bits count: which depends on the length.
    const texts = [0, 1, 2].map((more) => here.seal({ ...state, steps: { s: "x".repeat(more) } }, owner));
    const respelt = texts.flatMap((each) => {
      const decoded = Buffer.from(each.split(".")[2] ?? "", "base64url");
      return [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"]
        .map((last) => each.slice(0, -1) + last)
        .filter(
          (other) => other !== each && Buffer.from(other.split(".")[2] ?? "", "base64url").equals(decoded),
        );
    });
    expect(respelt.length).toBeGreaterThan(0);
    for (const other of [...respelt, `${text}=`, `${text}==`]) expect(here.open(other, owner)).toBeNull();
  });

  test("any text", () => {
    fc.assert(fc.property(fc.string(), (any) => here.open(any, owner) === null));
    for (const any of ["", ".", "1", "1..", "1.k1.", "1.k1.AA", `2${text.slice(1)}`, "1.__proto__.AAAA"])
      expect(here.open(any, owner)).toBeNull();
  });

  test("any swap of caller and request", () => {
    const name = fc.constantFrom("a", "b", "1", '","');
    const owners = fc.record({
      tenant: fc.constantFrom("tnt_1", "tnt_2"),
      subject: name,
      issuer: fc.option(name),
      tool: name,
      value: fc.jsonValue(),
    });
    const of = (each: {
      tenant: string;
      subject: string;
      issuer: string | null;
      tool: string;
      value: unknown;
    }): StateOwner => ({
      principal: { ...principal, tenantId: each.tenant as never, subject: each.subject, issuer: each.issuer },
      request: { method: "tools/call", name: each.tool, params: { arguments: { value: each.value } } },
    });
    fc.assert(
      fc.property(owners, owners, (one, other) => {
        const opened = here.open(here.seal(state, of(one)), of(other));
        // JSON has one zero.
        const same = JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
        expect(opened === null).toBe(!same);
      }),
      { numRuns: 300 },
    );
  });
});

/** With the members of objects in one order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, each]) => [name, sorted(each)]);
}
