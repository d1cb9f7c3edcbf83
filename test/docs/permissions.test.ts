import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { explainAccess } from "../../src/admin/explain-access.ts";
import { type Catalog, compileCatalog } from "../../src/catalog/catalog.ts";
import type { ServerDefinition } from "../../src/catalog/define.ts";
import { createTenantViews } from "../../src/catalog/tenant-view.ts";
import type { IssuerId } from "../../src/core/ids.ts";
import { DEFAULT_HIERARCHY } from "../../src/core/permission.ts";
import { accessNote } from "../../src/identity/access-note.ts";
import { type AccessPolicy, createAccessPolicy } from "../../src/identity/access-policy.ts";
import { type Roles, subjectKey, type TenantSnapshot } from "../../src/tenancy/tenant-snapshot.ts";
import { tenantSnapshot } from "../support/tenant-snapshot.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const ISSUER = "https://login.example.com";

let project: string;
let page: string;
let catalog: Catalog;
let policy: AccessPolicy;
let acme: TenantSnapshot;

/** The code blocks of a language that contain a text. */
function blocks(language: string, containing: string): string[] {
  return [...page.matchAll(/^```(\w*)\n(.*?)^```$/gms)]
    .filter((match) => match[1] === language && match[2]?.includes(containing))
    .map((match) => match[2] ?? "");
}

function block(language: string, containing: string): string {
  const found = blocks(language, containing);
  expect(found).toHaveLength(1);
  return found[0] ?? "";
}

beforeAll(async () => {
  page = await readFile(join(ROOT, "docs/permissions.md"), "utf8");
  project = await mkdtemp(join(tmpdir(), "bulkhead-permissions-"));
  await mkdir(join(project, "node_modules"));
  await writeFile(join(project, "package.json"), '{"type":"module"}');
  await symlink(ROOT, join(project, "node_modules/bulkhead-mcp"));
  await writeFile(join(project, "server.ts"), block("ts", "defineServer({"));
  const module = (await import(join(project, "server.ts"))) as { default: ServerDefinition };
  catalog = compileCatalog(module.default);
  policy = createAccessPolicy(catalog.hierarchy, catalog.permissions);
  const { roles } = JSON.parse(block("json", '"roles"')) as { roles: Roles };
  const assign = /--issuer (\S+) --subject (\S+) --role (\S+)/.exec(block("", "access assign"));
  expect(assign?.[1]).toBe(ISSUER);
  acme = tenantSnapshot("acme", {
    roles,
    roleAssignments: new Map([[subjectKey(ISSUER, assign?.[2] ?? ""), [assign?.[3] ?? ""]]]),
    issuers: [
      {
        id: "iss_1" as IssuerId,
        issuer: ISSUER,
        jwksUri: `${ISSUER}/keys`,
        broker: false,
        audience: null,
        otherAudiences: [],
        tenantClaim: null,
        tenantClaimForm: "text",
        tenantValue: null,
        scopeClaims: ["scope"],
        rolesClaim: null,
        algorithms: ["ES256"],
        tokenType: "at+jwt",
        maxLifetimeSeconds: 3_600,
        introspection: null,
        development: false,
      },
    ],
  });
});
afterAll(() => rm(project, { recursive: true, force: true }));

test("the table of examples is what the policy answers for the module of the page", () => {
  const rows = [...page.matchAll(/^\| (?:`(.*?)`)? ?\| (?:`(.*?)`|\(none\)) \| (yes|no) \| `(\w+)` \|$/gm)];
  expect(rows.length).toBeGreaterThanOrEqual(14);
  const reasons = new Set<string | undefined>();
  for (const [row, granted, needed, answer, reason] of rows) {
    const decision = policy.decide(new Set(granted === undefined ? [] : [granted]), needed);
    expect([row, decision.allowed ? "yes" : "no", decision.reason]).toEqual([row, answer, reason]);
    reasons.add(reason);
  }
  expect([...reasons].sort()).toEqual([
    "administrator",
    "granted",
    "implied",
    "missing",
    "not_required",
    "wildcard",
  ]);
});

test("the default that the page states is the default", () => {
  const stated = /writing implies\s+reading: `(.*?)`/.exec(page)?.[1];
  expect(stated).toBe(`{ "*:write": ${JSON.stringify(DEFAULT_HIERARCHY["*:write"])} }`);
  expect(Object.keys(DEFAULT_HIERARCHY)).toEqual(["*:write"]);
});

test("the explanations of the page are those that are given", () => {
  const views = createTenantViews({
    catalog,
    permits: (granted, required) => policy.decide(granted, required).allowed,
    onCut: () => {},
  });
  const asked = [
    ...block("", "$ bulkhead access explain").matchAll(/^\$ bulkhead access explain (.*)\n(.*)$/gm),
  ];
  expect(asked).toHaveLength(3);
  for (const [, flags = "", sentence] of asked) {
    const value = (flag: string): string | undefined => new RegExp(`--${flag} (\\S+)`).exec(flags)?.[1];
    const listed = (flag: string): string[] => [value(flag)].filter((text) => text !== undefined);
    expect(value("tenant")).toBe("acme");
    const answer = explainAccess({
      views,
      snapshot: acme,
      policy,
      target: { kind: "tool", name: value("tool") ?? "" },
      caller: {
        subject: value("subject") ?? null,
        issuer: null,
        scopes: listed("scope"),
        roles: listed("role"),
        key: null,
      },
      asker: "operator",
    });
    expect(answer).toMatchObject({ why: sentence });
  }
});

test("the record of the page is the one that an agent's reading leaves", () => {
  const decision = policy.decide(new Set(acme.roles.agent), "tickets:read");
  if (!decision.allowed) throw new TypeError("An agent may read.");
  const access = accessNote(decision, {
    scopes: new Set(),
    principal: { kind: "user", roles: ["agent"] },
    snapshot: acme,
  });
  expect(JSON.parse(block("json", '"access"'))).toEqual({ access });
});
