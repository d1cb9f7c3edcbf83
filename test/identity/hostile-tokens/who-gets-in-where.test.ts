import { afterAll, beforeAll, expect, test } from "vitest";
import { callTool } from "../../support/mcp-request.ts";
import type { IssuerName } from "./registrations.ts";
import { type Setting, startSetting } from "./setting.ts";

let at: Setting;
beforeAll(async () => {
  at = await startSetting();
});
afterAll(() => at.close());

/**
 * Who gets in where: acme has two issuers (`acme`, `second`), globex one, and both are on the broker. Each token is shown
 * at each of the three URLs; the cell says which tenant it acts for there.
 */
const EXPECTED = `
  issuer   names    for      /t/acme  /t/globex  /mcp
  acme     acme     acme     acme     -          -
  acme     acme     globex   -        -          -
  acme     acme     shared   -        -          -
  acme     globex   acme     -        -          -
  acme     globex   globex   -        -          -
  acme     globex   shared   -        -          -
  second   acme     acme     acme     -          -
  second   acme     globex   -        -          -
  second   acme     shared   -        -          -
  second   globex   acme     -        -          -
  second   globex   globex   -        -          -
  second   globex   shared   -        -          -
  globex   acme     acme     -        -          -
  globex   acme     globex   -        -          -
  globex   acme     shared   -        -          -
  globex   globex   acme     -        -          -
  globex   globex   globex   -        globex     -
  globex   globex   shared   -        -          -
  broker   acme     acme     acme     -          -
  broker   acme     globex   -        -          -
  broker   acme     shared   -        -          acme
  broker   globex   acme     -        -          -
  broker   globex   globex   -        globex     -
  broker   globex   shared   -        -          globex
`;

const cells = (text: string): string[][] =>
  text
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/));

type Tenant = "acme" | "globex";
const TENANTS = ["acme", "globex"] as const;
const SIGNERS = ["acme", "second", "globex", "broker"] as const satisfies readonly IssuerName[];

/** The value by which an issuer names a tenant. */
function naming(issuer: IssuerName, tenant: Tenant): Record<string, string> {
  return issuer === "broker" ? { org_id: `org-${tenant}` } : { tenant_id: `${tenant}-org` };
}

test("two tenants with issuers of their own, one with two, and both on a broker", async () => {
  const urls = { acme: at.urlOf("acme"), globex: at.urlOf("globex"), shared: at.shared };
  const customersOf = async (url: string, token: string): Promise<string> => {
    const answer = await callTool(url, token, "list_my_customers");
    return answer.status === 200 ? JSON.stringify(answer.json.result.content) : `refused ${answer.status}`;
  };
  // The tenants' customers differ, so an answer shows whose data it has.
  const tenantOf = new Map<string, string>([["refused 401", "-"]]);
  for (const tenant of TENANTS) {
    const { mcp, token } = at.server[tenant];
    tenantOf.set(await customersOf(mcp, token), tenant);
  }
  expect(tenantOf.size).toBe(3);

  const found: string[][] = [];
  for (const issuer of SIGNERS) {
    for (const named of TENANTS) {
      for (const audience of ["acme", "globex", "shared"] as const) {
        const token = at.token({
          from: issuer,
          claims: { ...naming(issuer, named), aud: urls[audience], sub: "ada", scope: "customers:read" },
        });
        const row: string[] = [issuer, named, audience];
        for (const url of Object.values(urls)) {
          const answer = await customersOf(url, token);
          row.push(tenantOf.get(answer) ?? answer);
        }
        found.push(row);
      }
    }
  }
  expect(found).toEqual(cells(EXPECTED).slice(1));
});
