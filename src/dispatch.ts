import type { IncomingMessage, ServerResponse } from "node:http";
import type { createAdminApi } from "./admin/admin-api.ts";
import type { Clock } from "./core/clock.ts";
import { errorRow } from "./core/error-table.ts";
import type { EventSink } from "./core/event.ts";
import type { Eventually } from "./core/eventually.ts";
import { type Refusal, refuse } from "./core/refusal.ts";
import type { Development } from "./development-access.ts";
import type { createOperatorGate } from "./identity/operator-gate.ts";
import type { Pipeline } from "./pipeline.ts";
import { answerJson, answerRefusal } from "./protocol/answers.ts";
import type { createHostGuard } from "./protocol/host-guard.ts";
import { route } from "./protocol/routes.ts";
import { VERSION } from "./version.ts";

/** Sends each request where its address says. */
export function createDispatch(to: {
  readonly pipeline: Pipeline;
  readonly guard: ReturnType<typeof createHostGuard>;
  readonly adminApi: ReturnType<typeof createAdminApi> | null;
  readonly development: Development | null;
  readonly gate: ReturnType<typeof createOperatorGate>;
  readonly metrics: () => Promise<{ readonly type: string; readonly text: string }>;
  readonly ready: () => boolean;
  /** True where /metrics needs no token: on loopback in development. */
  readonly open: boolean;
  readonly clock: Clock;
  readonly emit: EventSink;
}): (req: IncomingMessage, res: ServerResponse) => Eventually<void> {
  const refuseRequest = (res: ServerResponse, refusal: Refusal): void => {
    to.emit({ type: "refusal", at: to.clock.now(), tenantId: null, stage: "http", code: refusal.code });
    answerRefusal(res, refusal, { close: true });
  };

  const unknown = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    if ((await to.development?.authorizationServer.handle(req, res)) !== true)
      refuseRequest(res, refuse("route_unknown"));
  };

  const showMetrics = async (res: ServerResponse): Promise<void> => {
    const { type, text } = await to.metrics();
    res.writeHead(200, { "content-type": type, "cache-control": "no-store" }).end(text);
  };

  return (req, res) => {
    const target = req.url ?? "/";
    const where = route(target);
    // Probes come by address, with any Host: they say nothing that is worth guarding.
    if (where.kind === "health") {
      answerJson(res, 200, JSON.stringify({ status: "ok", version: VERSION }));
      return;
    }
    if (where.kind === "ready") {
      const ready = to.ready();
      answerJson(res, ready ? 200 : 503, JSON.stringify({ status: ready ? "ready" : "not_ready" }));
      return;
    }
    const refused = to.guard.check(req);
    if (refused !== null) {
      refuseRequest(res, refused);
      return;
    }
    switch (where.kind) {
      case "mcp":
        return to.pipeline.serveMcp(req, res, where.slug);
      case "metadata":
        return to.pipeline.serveMetadata(req, res, where.slug);
      case "metrics": {
        if (!to.open && !to.gate.admits(req.headers.authorization)) {
          const { text, remedy } = errorRow("operator_token_required");
          answerJson(res, 401, JSON.stringify({ code: "operator_token_required", text, remedy }), {
            "www-authenticate": "Bearer",
          });
          return;
        }
        return showMetrics(res);
      }
      case "admin":
        if (to.adminApi !== null) return to.adminApi.handle(req, res);
        refuseRequest(res, refuse("route_unknown"));
        return;
      case "unknown":
        return unknown(req, res);
    }
  };
}
