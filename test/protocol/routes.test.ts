import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Route, route } from "../../src/protocol/routes.ts";

const KINDS = ["mcp", "metadata", "health", "ready", "metrics", "admin", "unknown"];
const words = (found: Route): string => ("slug" in found ? `${found.kind} of ${found.slug}` : found.kind);

test.each<[target: string, where: string]>([
  ["/mcp", "mcp of null"],
  ["/mcp?x=1", "mcp of null"],
  ["/mcp?", "mcp of null"],
  ["/t/acme/mcp", "mcp of acme"],
  ["/t/acme/mcp?a=/t/globex/mcp", "mcp of acme"],
  ["/t/a-b-c9/mcp", "mcp of a-b-c9"],
  [`/t/${"a".repeat(39)}/mcp`, `mcp of ${"a".repeat(39)}`],
  ["/.well-known/oauth-protected-resource/mcp", "metadata of null"],
  ["/.well-known/oauth-protected-resource/t/acme/mcp", "metadata of acme"],
  ["/healthz", "health"],
  ["/healthz?deep=1", "health"],
  ["/readyz", "ready"],
  ["/metrics", "metrics"],
  ["/admin/v1", "admin"],
  ["/admin/v1/tenants?limit=1", "admin"],
  ["/admin/v1/../../mcp", "admin"],

  ["", "unknown"],
  ["/", "unknown"],
  ["?/mcp", "unknown"],
  ["mcp", "unknown"],
  ["*", "unknown"],
  ["http://example.com/mcp", "unknown"],
  ["//mcp", "unknown"],
  ["/mcp/", "unknown"],
  ["/MCP", "unknown"],
  ["/%6dcp", "unknown"],
  ["/mcp#x", "unknown"],
  ["/mcp;x", "unknown"],
  ["/mcp\0", "unknown"],
  ["/t/mcp", "unknown"],
  ["/t//mcp", "unknown"],
  ["/t/a/mcp", "unknown"],
  ["/t/acme/mcp/", "unknown"],
  ["/t/acme//mcp", "unknown"],
  ["/t/acme/mcp/mcp", "unknown"],
  ["/t/acme/../globex/mcp", "unknown"],
  ["/t/./acme/mcp", "unknown"],
  ["/t/acme%2Fmcp", "unknown"],
  ["/t/acm%65/mcp", "unknown"],
  ["/t/Acme/mcp", "unknown"],
  ["/t/аcme/mcp", "unknown"],
  ["/t/acme-/mcp", "unknown"],
  ["/t/a--b/mcp", "unknown"],
  ["/t/9acme/mcp", "unknown"],
  ["/t/acme\n/mcp", "unknown"],
  ["/t/tnt_01h00000000000000000000000/mcp", "unknown"],
  [`/t/${"a".repeat(40)}/mcp`, "unknown"],
  ["/T/acme/mcp", "unknown"],
  ["/.well-known/oauth-protected-resource", "unknown"],
  ["/.well-known/oauth-protected-resource/", "unknown"],
  ["/.well-known/oauth-protected-resource/mcp/", "unknown"],
  ["/.well-known/oauth-protected-resourcet/acme/mcp", "unknown"],
  ["/t/acme/.well-known/oauth-protected-resource/mcp", "unknown"],
  ["/healthz/", "unknown"],
  ["/metrics/x", "unknown"],
  ["/admin", "unknown"],
  ["/admin/v10", "unknown"],
  ["/admin/v2/tenants", "unknown"],
])("%s is %s", (target, where) => {
  expect(words(route(target))).toBe(where);
});

describe("any target", () => {
  const piece = fc.constantFrom(
    "/",
    "t",
    "mcp",
    "acme",
    "..",
    "%2f",
    "?",
    "#",
    "\0",
    ".well-known",
    "oauth-protected-resource",
    "admin",
    "v1",
    "healthz",
    "é",
  );
  const target = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.webPath(),
    fc.array(piece, { maxLength: 10 }).map((pieces) => pieces.join("")),
    fc.array(piece, { maxLength: 10 }).map((pieces) => `/${pieces.join("/")}`),
  );

  test("leads somewhere, and to a tenant only by its one address", () => {
    fc.assert(
      fc.property(target, (text) => {
        const found = route(text);
        expect(KINDS).toContain(found.kind);
        if (!("slug" in found)) return;
        const mcp = found.slug === null ? "/mcp" : `/t/${found.slug}/mcp`;
        const path = found.kind === "mcp" ? mcp : `/.well-known/oauth-protected-resource${mcp}`;
        expect(text.split("?", 1)[0]).toBe(path);
      }),
      { numRuns: 5_000 },
    );
  });

  test("of 1 MB is looked at as quickly", () => {
    const begun = performance.now();
    for (const fill of ["a", "-", "a-", "/t/", "%2f", "?"])
      expect(KINDS).toContain(route(`/t/${fill.repeat(1_000_000 / fill.length)}/mcp`).kind);
    expect(performance.now() - begun).toBeLessThan(1_000);
  });
});
