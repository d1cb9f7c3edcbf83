import { defineOperation } from "../admin-operation.ts";
import { writeCursor } from "../page-cursor.ts";
import { pageOf, pageQuery } from "../schemas/page.ts";
import { tenant } from "../schemas/tenant.ts";
import { showTenant } from "../tenant-answer.ts";

export const listTenants = defineOperation({
  action: "tenants.list",
  method: "get",
  path: "/tenants",
  summary: "List the tenants in order of their creation; an administrator of a tenant sees that one",
  access: "tenant",
  request: { query: pageQuery },
  conditional: false,
  changes: false,
  answers: { 200: { description: "A page of tenants.", schema: pageOf(tenant, "TenantPage") } },
  refusals: [],
  target: () => null,
  async run({ query }, { administration, mcpUrlOf }, by) {
    if (by.kind === "tenant") {
      // Whatever its cursor says: a page of one's own tenant has none after it.
      const own = query.cursor === undefined ? await administration.tenant(by.snapshot.id) : null;
      return {
        status: 200,
        body: { items: own === null ? [] : [showTenant(own, mcpUrlOf)] },
        tenantId: by.snapshot.id,
      };
    }
    const page = await administration.listTenants({ after: query.cursor ?? null, limit: query.limit });
    return {
      status: 200,
      body: {
        items: page.items.map((record) => showTenant(record, mcpUrlOf)),
        ...(page.next === null ? {} : { nextCursor: writeCursor(page.next) }),
      },
      tenantId: null,
    };
  },
});
