import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DEFAULT_HIERARCHY, type PermissionHierarchy } from "../../src/core/permission.ts";
import { createAccessPolicy } from "../../src/identity/access-policy.ts";

const decide = (granted: readonly string[], required: string | undefined, hierarchy = DEFAULT_HIERARCHY) =>
  createAccessPolicy(hierarchy).decide(new Set(granted), required);
const allowed = (granted: readonly string[], required: string, hierarchy: PermissionHierarchy): boolean =>
  decide(granted, required, hierarchy).allowed;

/** What is no permission, whatever the caller's issuer has signed. */
const MALFORMED = ["tick*", "*ickets:read", "tickets:**", "tickets:re*d", "tickets :*", "tickets:*\n", '"*"'];

describe("one function decides", () => {
  test("an operation that requires nothing is allowed to everybody", () => {
    expect(decide([], undefined)).toEqual({ allowed: true, reason: "not_required" });
  });

  test.each([
    [["tickets:write"], "tickets:write", "granted", "tickets:write"],
    [["tickets:write"], "tickets:read", "implied", "tickets:write"],
    [["tickets:*"], "tickets:write", "wildcard", "tickets:*"],
    [["*:read"], "tickets:read", "wildcard", "*:read"],
    [["*:*"], "tickets:read", "wildcard", "*:*"],
    [["*"], "reports", "wildcard", "*"],
    // A pattern of what implies it.
    [["*:write"], "tickets:read", "implied", "*:write"],
    [["admin"], "tickets:write", "administrator", "admin"],
    [["admin"], "admin", "granted", "admin"],
    // The nearest ground is told, in whatever order things were granted.
    [["admin", "*:*", "tickets:write", "tickets:read"], "tickets:read", "granted", "tickets:read"],
    [["admin", "*:write", "*:read", "tickets:write"], "tickets:read", "implied", "tickets:write"],
    [["admin", "*:write", "*:read"], "tickets:read", "wildcard", "*:read"],
    [["admin", "*:write"], "tickets:read", "implied", "*:write"],
  ])("%j grants %s: %s, by %s", (granted, required, reason, by) => {
    expect(decide(granted, required)).toEqual({ allowed: true, reason, permission: required, by });
    expect(decide(granted.toReversed(), required)).toMatchObject({ reason, by });
  });

  test.each([
    [[], "tickets:read"],
    [["tickets:write"], "tickets:writ"],
    [["tickets:writ"], "tickets:write"],
    [["tickets"], "tickets:read"],
    [["tickets:read"], "tickets"],
    [["tickets:read"], "tickets:read:all"],
    [["tickets:read:all"], "tickets:read"],
    [["Tickets:read"], "tickets:read"],
    [["tickets:read"], "tickets:write"],
    [["tickets:write"], "customers:read"],
    // A star is one segment: neither none, nor two, nor a part of one.
    [["tickets:*"], "tickets"],
    [["tickets:*"], "tickets:read:all"],
    [["*"], "tickets:read"],
    [["*:*"], "reports"],
    [["ticket*:read", "t*:read"], "tickets:read"],
    [MALFORMED, "tickets:read"],
    // Only exactly `admin` is that.
    [["administrator", "Admin", "admin ", "admin:*", "*:admin", "admin:admin"], "tickets:read"],
    [["*", "*:*", "admin:*", "*:write", "adm*"], "admin"],
    // Nothing requires a pattern; if something did, it would not be matched backwards.
    [["tickets:read"], "tickets:*"],
    [["*"], ""],
  ])("%j does not grant %j", (granted, required) => {
    expect(decide(granted, required)).toEqual({ allowed: false, reason: "missing", permission: required });
  });
});

describe("the hierarchy", () => {
  test("is transitive, and cycles in it do no harm", () => {
    const hierarchy = {
      "tickets:manage": ["tickets:write"],
      "*:write": ["*:read"],
      a: ["b"],
      b: ["c", "a"],
      c: ["a"],
    };
    expect(decide(["tickets:manage"], "tickets:read", hierarchy)).toMatchObject({
      reason: "implied",
      by: "tickets:manage",
    });
    for (const one of ["a", "b", "c"])
      for (const other of ["a", "b", "c"]) expect(allowed([one], other, hierarchy)).toBe(true);
    expect(allowed(["tickets:read"], "tickets:manage", hierarchy)).toBe(false);
    expect(allowed(["a"], "tickets:read", hierarchy)).toBe(false);
  });

  test("binds the k-th star of what is implied to the k-th of what implies", () => {
    const hierarchy = { "*:of:*": ["*:*", "read:*"] };
    expect(allowed(["tickets:of:acme"], "tickets:acme", hierarchy)).toBe(true);
    expect(allowed(["tickets:of:acme"], "acme:tickets", hierarchy)).toBe(false);
    // Its first star, not the one that stands at the same place.
    expect(allowed(["tickets:of:acme"], "read:tickets", hierarchy)).toBe(true);
    expect(allowed(["tickets:of:acme"], "read:acme", hierarchy)).toBe(false);
  });

  test("lets a star that nothing takes up stand for any segment", () => {
    const hierarchy = { "desk:*": ["desk"], desk: ["lobby"] };
    expect(decide(["desk:billing"], "lobby", hierarchy)).toEqual({
      allowed: true,
      reason: "implied",
      permission: "lobby",
      by: "desk:billing",
    });
    expect(allowed(["desk:*"], "lobby", hierarchy)).toBe(true);
    expect(allowed(["desk:a:b"], "lobby", hierarchy)).toBe(false);
    // What is no permission is not put on record as the ground of anything.
    for (const grant of ["desk:a b", 'desk:"', "desk:a*", `desk:${"x".repeat(200)}`])
      expect(allowed([grant], "lobby", hierarchy)).toBe(false);
  });

  test("has a default that whoever states another replaces", () => {
    expect(allowed(["tickets:write"], "tickets:read", DEFAULT_HIERARCHY)).toBe(true);
    expect(allowed(["a:b:write"], "a:b:read", DEFAULT_HIERARCHY)).toBe(false);
    expect(allowed(["tickets:write"], "tickets:read", {})).toBe(false);
  });

  test("that multiplies without end is refused at the start", () => {
    // Each segment may be 1 instead of 0: 2 to the power of their number.
    const counter = (digits: number): PermissionHierarchy =>
      Object.fromEntries(
        Array.from({ length: digits }, (_, place) => {
          const at = (digit: string) =>
            Array.from({ length: digits }, (__, i) => (i === place ? digit : "*")).join(":");
          return [at("1"), [at("0")]];
        }),
      );
    const zeros = (digits: number): string => Array.from({ length: digits }, () => "0").join(":");
    expect(() => createAccessPolicy(counter(8), [zeros(8)])).not.toThrow();
    expect(() => createAccessPolicy(counter(9), [zeros(9)])).toThrow("more than 256 permissions imply");
    // One that was not known then is refused, and takes no time without end.
    const policy = createAccessPolicy(counter(20));
    expect(policy.decide(new Set([zeros(20).replaceAll("0", "1")]), zeros(20)).allowed).toBe(false);
  });
});

describe("whatever the hierarchy and the grants", () => {
  const SEGMENTS = ["a", "b", "admin"];
  const patternOf = (alphabet: readonly string[]): fc.Arbitrary<string> =>
    fc.array(fc.constantFrom(...alphabet), { minLength: 1, maxLength: 3 }).map((parts) => parts.join(":"));
  const permission = patternOf(SEGMENTS);
  const pattern = patternOf([...SEGMENTS, "*", "*"]);
  const grants = fc.array(fc.oneof(pattern, fc.constantFrom("admin", "adm*", "a*:b", "*a")), {
    maxLength: 4,
  });
  const stars = (text: string): number => text.split("*").length - 1;
  const hierarchies: fc.Arbitrary<PermissionHierarchy> = fc
    .array(
      fc.tuple(pattern, pattern).filter(([by, of]) => !["admin", "*"].includes(of) && stars(of) <= stars(by)),
      { maxLength: 5 },
    )
    .map((pairs) => {
      const stated: Record<string, string[]> = {};
      for (const [by, of] of pairs) stated[by] = [...(stated[by] ?? []), of];
      return stated;
    });

  /** All permissions of up to three of the segments, and what a pattern makes of values for its stars. */
  const WORDS = [1, 2, 3].map((length) => {
    let words: string[][] = [[]];
    for (let i = 0; i < length; i++)
      words = words.flatMap((word) => SEGMENTS.map((segment) => [...word, segment]));
    return words;
  });
  const EVERYTHING = WORDS.flat().map((word) => word.join(":"));
  const fill = (text: string, values: readonly string[]): string => {
    let star = 0;
    return text
      .split(":")
      .map((part) => (part === "*" ? (values[star++] ?? "") : part))
      .join(":");
  };
  const instances = (text: string): string[][] => (stars(text) === 0 ? [[]] : (WORDS[stars(text) - 1] ?? []));
  const wellFormed = (text: string): boolean =>
    text.split(":").every((part) => part === "*" || !part.includes("*"));

  /** The rules, word by word: everything that is covered, and everything that follows, until nothing more does. */
  function reference(granted: readonly string[], hierarchy: PermissionHierarchy): Set<string> {
    if (granted.includes("admin")) return new Set(EVERYTHING);
    const held = new Set(
      granted
        .filter(wellFormed)
        .flatMap((grant) => instances(grant).map((values) => fill(grant, values)))
        .filter((concrete) => concrete !== "admin"),
    );
    for (let before = -1; before !== held.size; ) {
      before = held.size;
      for (const [by, implied] of Object.entries(hierarchy))
        for (const values of instances(by))
          if (held.has(fill(by, values))) for (const of of implied) held.add(fill(of, values));
    }
    return held;
  }

  test("the answers are those of the rules worked out one by one", () => {
    fc.assert(
      fc.property(hierarchies, fc.array(grants, { minLength: 1, maxLength: 3 }), (hierarchy, callers) => {
        // One policy for all callers: what it keeps of one must not show in the next.
        const policy = createAccessPolicy(hierarchy, EVERYTHING);
        for (const granted of callers) {
          const expected = reference(granted, hierarchy);
          const set = new Set(granted);
          const found = EVERYTHING.filter((required) => policy.decide(set, required).allowed);
          expect(found).toEqual(EVERYTHING.filter((required) => expected.has(required)));
        }
      }),
      { numRuns: 600 },
    );
  });

  test("what is said to have decided was granted, is enough alone, and has the reason that it says", () => {
    fc.assert(
      fc.property(hierarchies, grants, permission, (hierarchy, granted, required) => {
        const decision = decide(granted, required, hierarchy);
        if (!decision.allowed) {
          expect(decision).toEqual({ allowed: false, reason: "missing", permission: required });
          return;
        }
        if (decision.reason === "not_required") throw new TypeError("It was required.");
        const { by, reason } = decision;
        expect(granted).toContain(by);
        expect(decide([by], required, hierarchy)).toEqual(decision);
        expect(decide([by], required, {}).allowed).toBe(reason !== "implied");
        expect(reason === "granted").toBe(by === required);
        expect(reason === "administrator").toBe(by === "admin" && required !== "admin");
      }),
      { numRuns: 2_000 },
    );
  });

  test("nobody has admin but whoever was granted exactly that", () => {
    fc.assert(
      fc.property(hierarchies, grants, (hierarchy, granted) => {
        expect(allowed(granted, "admin", hierarchy)).toBe(granted.includes("admin"));
      }),
      { numRuns: 2_000 },
    );
  });

  test("more grants never deny what fewer allow", () => {
    fc.assert(
      fc.property(hierarchies, grants, grants, permission, (hierarchy, granted, more, required) => {
        if (allowed(granted, required, hierarchy))
          expect(allowed([...more, ...granted], required, hierarchy)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  test("a text without a star grants itself and nothing that it begins, ends or contains", () => {
    const text = fc.stringMatching(/^[a-c:.]{1,6}$/);
    fc.assert(
      fc.property(text, text, fc.nat(6), fc.nat(6), (whole, other, from, to) => {
        for (const part of [whole.slice(from), whole.slice(0, to), whole + other, other + whole, other]) {
          expect(allowed([whole], part, {})).toBe(part === whole);
          expect(allowed([part], whole, {})).toBe(part === whole);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
