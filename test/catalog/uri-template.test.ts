import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileUri } from "../../src/catalog/uri-template.ts";
import { Fault } from "../../src/core/fault.ts";

/** RFC 6570 section 3.2.2: everything but unreserved characters is percent-encoded. */
function encode(value: string): string {
  return encodeURIComponent(value).replaceAll(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function expand(template: string, values: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{(\w+)\}/g, (_all, name: string) => encode(values[name] ?? ""));
}

const UNRESERVED = "abzAZ019-._~";
const RESERVED = ":/?#[]@!$&'()*+,;=";
const text = (alphabet: string, min: number, max: number) =>
  fc.string({ unit: fc.constantFrom(...alphabet), minLength: min, maxLength: max });
/** A literal, with or without a character that no value contains. */
const anything = text(UNRESERVED + RESERVED, 0, 6);
const delimiter = fc
  .tuple(text(UNRESERVED + RESERVED, 0, 3), fc.constantFrom(...RESERVED), text(UNRESERVED + RESERVED, 0, 3))
  .map((parts) => parts.join(""));
const value = fc.string({ unit: "binary", minLength: 1, maxLength: 12 });

/** A template of 1 to 5 variables, and values for them. */
const filled = fc
  .tuple(anything, fc.array(fc.tuple(delimiter, value), { minLength: 1, maxLength: 5 }), anything)
  .map(([first, rest, last]) => ({
    template: `shop:${first}${rest.map(([before], i) => `${i === 0 ? "" : before}{v${i}}`).join("")}${last}`,
    values: Object.fromEntries(rest.map(([, content], i) => [`v${i}`, content])),
  }));

describe("a template", () => {
  test("gives the variables back that a URI was expanded from", () => {
    fc.assert(
      fc.property(filled, ({ template, values }) => {
        const pattern = compileUri(template);
        expect(pattern.isTemplate).toBe(true);
        expect(pattern.match(expand(template, values))).toEqual(values);
      }),
      { numRuns: 1_000 },
    );
  });

  test("matches nothing else: what it gives expands to the same URI again", () => {
    fc.assert(
      fc.property(
        filled,
        fc.array(fc.tuple(fc.nat(200), fc.constantFrom(...`${UNRESERVED + RESERVED}%{} `)), { maxLength: 4 }),
        ({ template, values }, changes) => {
          let uri = expand(template, values);
          for (const [at, char] of changes) uri = uri.slice(0, at) + char + uri.slice(at + 1);
          const found = compileUri(template).match(uri);
          if (found === null) return;
          // Percent-encoding has several spellings: %41 is A, %2f is %2F.
          const normal = uri.replaceAll(/(?:%[0-9a-f]{2})+/gi, (triplets) =>
            encode(decodeURIComponent(triplets)),
          );
          const literalsToo = expand(template, found).replaceAll(/(?:%[0-9a-f]{2})+/gi, (triplets) =>
            encode(decodeURIComponent(triplets)),
          );
          expect(literalsToo).toBe(normal);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test.each<[string, string, Record<string, string> | null]>([
    ["shop://item/{id}", "shop://item/7", { id: "7" }],
    ["shop://item/{id}", "shop://item/a%20b%2Fc", { id: "a b/c" }],
    ["shop://item/{id}", "shop://item/%252F", { id: "%2F" }],
    ["shop://item/{id}", "shop://item/%F0%9F%98%80", { id: "😀" }],
    ["shop://item/{id}", "shop://item/", null],
    ["shop://item/{id}", "shop://item/a/b", null],
    ["shop://item/{id}", "shop://item/a?b", null],
    ["shop://item/{id}", "shop://item/7\n", null],
    ["shop://item/{id}", "SHOP://item/7", null],
    ["shop://item/{id}", "xshop://item/7", null],
    ["shop://item/{id}", "shop://item/%", null],
    ["shop://item/{id}", "shop://item/%4", null],
    ["shop://item/{id}", "shop://item/%FF", null],
    ["shop://item/{id}", "shop://item/%ED%A0%80", null],
    ["shop://item/{id}", "shop://item/é", null],
    ["shop://item/{id}.json", "shop://item/a.b.json", { id: "a.b" }],
    ["shop://{a}-/{b}", "shop://x--/y", { a: "x-", b: "y" }],
    ["shop://(a+)+{a}", "shop://(a+)+b", { a: "b" }],
    ["shop://x.{a}", "shop://xy7", null],
    ["shop://{__proto__}", "shop://x", Object.fromEntries([["__proto__", "x"]])],
    ["shop://{constructor}", "shop://x", { constructor: "x" }],
  ])("%s and %s", (template, uri, variables) => {
    const found = compileUri(template).match(uri);
    expect(found === null ? null : Object.entries(found)).toEqual(
      variables === null ? null : Object.entries(variables),
    );
  });

  test("takes no longer over a hostile URI of 2,048 characters than over any other", () => {
    const templates = [
      "x:{a}/-{b}/-{c}/-{d}/-{e}",
      "x:{a}-/-{b}-/-{c}-/-{d}",
      "x:-{a}:.{b}:.{c}:.{d}-",
      "x:{a}%2F:%2F{b}%2F:%2F{c}-",
      "x:{a}aaa/aaa{b}aaa/aaa{c}aaa/aaa{d}aaa",
    ];
    const ends = ["", "!", "-", "%", "%2", "/", "aaa"];
    const fills = ["-", "a", ".", "%2F", "/-", "-/", ":.", "%2F:", "aaa/", "a/a", "-:"];
    const begun = performance.now();
    for (const template of templates) {
      const pattern = compileUri(template);
      for (const fill of fills)
        for (const end of ends) {
          const uri = `x:${fill.repeat(2_048)}`.slice(0, 2_048 - end.length) + end;
          pattern.match(uri);
        }
    }
    // 385 matches: some 10 ms. A pattern that backtracks takes seconds for one.
    expect(performance.now() - begun).toBeLessThan(2_000);
  });

  test("looks at no URI of more than 2,048 characters", () => {
    const pattern = compileUri("x:{a}");
    expect(pattern.match(`x:${"a".repeat(2_046)}`)).toEqual({ a: "a".repeat(2_046) });
    expect(pattern.match(`x:${"a".repeat(2_047)}`)).toBeNull();
  });
});

test("a fixed URI matches itself alone", () => {
  const pattern = compileUri("shop://stock?all=1");
  expect(pattern.isTemplate).toBe(false);
  expect(pattern.match("shop://stock?all=1")).toEqual({});
  for (const uri of ["shop://stock?all=2", "shop://stock", "shop://stock?all=1 ", ""])
    expect(pattern.match(uri)).toBeNull();
});

test.each<[string, string]>([
  ["shop://{a}{b}", 'has two variables with no reserved character, such as "/", between them'],
  ["shop://{a}-{b}", 'has two variables with no reserved character, such as "/", between them'],
  ["shop://{a}/{b}.{c}", 'has two variables with no reserved character, such as "/", between them'],
  ["shop://{a}%2F{b}", 'has two variables with no reserved character, such as "/", between them'],
  ["shop://{a}/{a}", "uses a variable twice"],
  ["shop://{+a}", "uses more of RFC 6570 than {name}"],
  ["shop://{/a}", "uses more of RFC 6570 than {name}"],
  ["shop://{?a,b}", "uses more of RFC 6570 than {name}"],
  ["shop://{a,b}", "uses more of RFC 6570 than {name}"],
  ["shop://{a*}", "uses more of RFC 6570 than {name}"],
  ["shop://{a:3}", "uses more of RFC 6570 than {name}"],
  ["shop://{}", "uses more of RFC 6570 than {name}"],
  ["shop://{1a}", "uses more of RFC 6570 than {name}"],
  ["shop://{a", "uses more of RFC 6570 than {name}"],
  ["shop://a}", "uses more of RFC 6570 than {name}"],
  ["shop://{{a}}", "uses more of RFC 6570 than {name}"],
  ["stock/{id}", "does not begin with a scheme, or is too long"],
  ["{scheme}://stock", "does not begin with a scheme, or is too long"],
  ["", "does not begin with a scheme, or is too long"],
  [`shop://${"a".repeat(2_042)}`, "does not begin with a scheme, or is too long"],
])("%s is refused when the server starts", (pattern, why) => {
  let fault: unknown;
  try {
    compileUri(pattern);
  } catch (error) {
    fault = error;
  }
  expect(fault).toBeInstanceOf(Fault);
  expect(fault).toMatchObject({
    code: "server_invalid",
    detail: `The resource URI ${JSON.stringify(pattern)} ${why}.`,
  });
});
