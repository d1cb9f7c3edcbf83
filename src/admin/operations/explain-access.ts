import type { z } from "@hono/zod-openapi";
import type { EntryName } from "../../catalog/tenant-view.ts";
import { isRefusal, refuse } from "../../core/refusal.ts";
import { defineOperation } from "../admin-operation.ts";
import { explainAccess as explain } from "../explain-access.ts";
import { inputInvalid } from "../problem.ts";
import { accessExplanation, accessQuery } from "../schemas/access.ts";
import { tenantPath } from "../schemas/names.ts";

export const explainAccess = defineOperation({
  action: "access.explain",
  method: "get",
  path: "/tenants/{t}/access",
  summary: "Say whether a caller with such a token or key may use a tool, resource or prompt, and why",
  access: "tenant",
  request: { params: tenantPath, query: accessQuery },
  conditional: false,
  changes: false,
  answers: { 200: { description: "The decision with its reason.", schema: accessExplanation } },
  refusals: ["tenant_not_found"],
  target: ({ params }) => params.t,
  async run({ params, query }, { accessPorts }, by) {
    const { snapshotOf, ...ports } = accessPorts;
    const snapshot = params.t === null ? null : await snapshotOf(params.t);
    if (snapshot === null) return refuse("tenant_not_found");
    const target = entryNamed(query);
    if (target === null) {
      return inputInvalid([{ path: "", message: "Must have exactly one of tool, resource and prompt" }]);
    }
    const { subject = null, issuer = null, scope = null, role = [], key = null } = query;
    const caller = { subject, issuer, scopes: scope, roles: role, key };
    const body = explain({ ...ports, snapshot, target, caller, asker: by.kind });
    return isRefusal(body) ? body : { status: 200, body, tenantId: snapshot.id };
  },
});

function entryNamed(query: z.output<typeof accessQuery>): EntryName | null {
  const named = (["tool", "resource", "prompt"] as const).flatMap((kind): EntryName[] => {
    const name = query[kind];
    return name === undefined ? [] : [{ kind, name }];
  });
  return named.length === 1 ? (named[0] ?? null) : null;
}
