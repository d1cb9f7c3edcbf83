/** What Node's HTTP server calls: each request to its end, whatever breaks on the way, and when all of them have ended. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "./core/clock.ts";
import { errorRow } from "./core/error-table.ts";
import type { EventSink } from "./core/event.ts";
import type { Eventually } from "./core/eventually.ts";
import { Fault } from "./core/fault.ts";
import type { IdSource } from "./core/ids.ts";
import { refuse } from "./core/refusal.ts";
import { answerRefusal } from "./protocol/answers.ts";
import { closeWithConnection } from "./protocol/close-with-connection.ts";

export interface RequestHandler {
  handle(req: IncomingMessage, res: ServerResponse): void;
  /** Resolves when nothing is under way any more. */
  finished(): Promise<void>;
}

export function createRequestHandler(to: {
  /** May throw, and may reject. */
  readonly dispatch: (req: IncomingMessage, res: ServerResponse) => Eventually<void>;
  readonly clock: Clock;
  readonly ids: Pick<IdSource, "operation">;
  readonly emit: EventSink;
}): RequestHandler {
  let underWay = 0;
  let idle: (() => void) | null = null;
  const over = (): void => {
    underWay--;
    if (underWay === 0) idle?.();
  };

  const fail = (res: ServerResponse, cause: unknown): void => {
    const operationId = to.ids.operation();
    to.emit({
      type: "fault",
      at: to.clock.now(),
      level: "error",
      where: "request",
      message: `The request ${operationId} failed outside its operation.`,
      cause,
    });
    const unavailable = cause instanceof Fault && errorRow(cause.code).http === 503;
    if (!res.headersSent)
      answerRefusal(
        res,
        unavailable
          ? refuse(cause.code, { retryAfterMs: 1_000 })
          : refuse("internal", { data: { operationId } }),
        { close: true },
      );
    else res.destroy();
  };

  return {
    handle(req, res) {
      // A stream outlives its request, and a request of the previous generation its connection: both are waited for.
      underWay += 2;
      res.once("close", over);
      closeWithConnection(req, res);
      const broken = (cause: unknown): void => {
        try {
          fail(res, cause);
        } catch {
          // What breaks each write of a response, as middleware may, breaks this one too. Its cause is on record.
          res.destroy();
        } finally {
          over();
        }
      };
      try {
        const dispatched = to.dispatch(req, res);
        if (dispatched instanceof Promise) dispatched.then(over, broken);
        else over();
      } catch (cause) {
        broken(cause);
      }
    },
    finished: () =>
      new Promise((resolve) => {
        idle = resolve;
        if (underWay === 0) resolve();
      }),
  };
}
