import { refuse } from "../../core/refusal.ts";
import { defineOperation } from "../admin-operation.ts";
import { showApiKey } from "../api-key-answer.ts";
import { apiKey, apiKeyPath } from "../schemas/api-key.ts";

export const deleteApiKey = defineOperation({
  action: "keys.delete",
  method: "delete",
  path: "/tenants/{t}/keys/{id}",
  summary: "Delete an API key: it stops counting within a second, everywhere",
  access: "tenant",
  request: { params: apiKeyPath },
  conditional: false,
  changes: true,
  answers: { 200: { description: "The key as it was.", schema: apiKey } },
  refusals: ["tenant_not_found", "key_not_found"],
  target: ({ params }) => params.id,
  async run({ params }, { administration, clock }) {
    if (params.t === null) return refuse("tenant_not_found");
    if (params.id === null) return refuse("key_not_found");
    const outcome = await administration.deleteApiKey(params.t, params.id);
    if (outcome.kind !== "done") return refuse(outcome.kind);
    return { status: 200, body: showApiKey(outcome.key, clock.now()), tenantId: outcome.tenantId };
  },
});
