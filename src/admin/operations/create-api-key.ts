import { refuse } from "../../core/refusal.ts";
import { makeApiKey } from "../../identity/api-key.ts";
import { actorBehind } from "../act.ts";
import { defineOperation } from "../admin-operation.ts";
import { showApiKey } from "../api-key-answer.ts";
import { inputInvalid } from "../problem.ts";
import { createdApiKey, newApiKey } from "../schemas/api-key.ts";
import { tenantPath } from "../schemas/names.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;
const DEFAULT_LIFE_MS = 90 * DAY_MS;
const LONGEST_LIFE_MS = 366 * DAY_MS;

export const createApiKey = defineOperation({
  action: "keys.create",
  method: "post",
  path: "/tenants/{t}/keys",
  summary: "Create an API key of a tenant that has turned them on; it is shown this once",
  access: "tenant",
  request: { params: tenantPath, body: newApiKey },
  conditional: false,
  changes: true,
  answers: { 201: { description: "The new key.", schema: createdApiKey } },
  refusals: ["tenant_not_found", "keys_off", "too_many"],
  target: ({ params }) => params.t,
  async run({ params, body }, { administration, ids, clock, random }, by) {
    if (params.t === null) return refuse("tenant_not_found");
    const now = clock.now();
    const expiresAt = body.expiresAt ?? new Date(now + DEFAULT_LIFE_MS);
    const life = expiresAt.getTime() - now;
    if (!(life > 0 && life <= LONGEST_LIFE_MS)) {
      const message = "Must be in the future and at most 366 days away";
      return inputInvalid([{ path: "expiresAt", message }]);
    }
    const id = ids.apiKey();
    const made = makeApiKey(id, random);
    const outcome = await administration.createApiKey(params.t, {
      id,
      name: body.name,
      secretHash: made.secretHash,
      permissions: [...new Set(body.permissions)],
      expiresAt,
      createdBy: actorBehind(by),
    });
    if (outcome.kind !== "done") return refuse(outcome.kind);
    return {
      status: 201,
      body: { ...showApiKey(outcome.key, now), key: made.text },
      tenantId: outcome.tenantId,
      target: id,
    };
  },
});
