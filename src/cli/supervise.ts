import { type ChildProcess, fork } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { Fault } from "../core/fault.ts";
import {
  type ChildReport,
  parseChildReport,
  type ReadyLine,
  type ServeOrder,
  type StopOrder,
} from "./dev-messages.ts";
import type { Environment } from "./environment.ts";
import { type ReportedError, toReport } from "./report-error.ts";
import { watchModule } from "./watch-module.ts";

/** Longest wait for the serving child to stop by itself, in milliseconds: longer than its own wait for calls under way. */
const STOP_MS = 9_000;
/** Pause before a child that died is replaced, in milliseconds: doubled each time it dies young. */
const RESTART_MS = { first: 200, most: 10_000, young: 5_000 };

export interface SupervisorOptions {
  /** The command's own file, which the child runs. */
  readonly main: string;
  readonly env: Environment;
  readonly order: ServeOrder;
  /** A directory whose changes are not the module's. */
  readonly dataDir: string;
  /** Aborted: stop, and let calls under way end. */
  readonly stop: AbortSignal;
  /** Aborted: do not wait for them. */
  readonly hurry: AbortSignal;
  readonly on: {
    /** Once, when the first child serves. */
    ready(line: ReadyLine): void;
    /** What a person wants to know, in one line. */
    notice(text: string): void;
    error(report: ReportedError): void;
  };
}

/**
 * Keeps one child serving: replaces it when the module changes and when it dies. Resolves once it was told to stop, and
 * no child is left.
 * @returns the exit status: 1 where the first child could not serve.
 */
export async function supervise(options: SupervisorOptions): Promise<0 | 1> {
  const { order, on, stop } = options;
  let served = false;
  let wake: () => void = () => {};
  let pause = RESTART_MS.first;
  const onStop = (): void => wake();
  stop.addEventListener("abort", onStop);
  const watching = watchModule(order.module, {
    except: options.dataDir,
    change: () => wake(),
    trouble: on.notice,
  });
  try {
    while (!stop.aborted) {
      const woken = new Promise<"woken">((resolve) => {
        wake = () => resolve("woken");
      });
      const started = performance.now();
      let failed = false;
      const child = startChild(options, (report) => {
        if (report.type === "failed") {
          failed = true;
          on.error(report.error);
        } else if (served) {
          on.notice(`serving again on port ${order.port}`);
        } else {
          served = true;
          on.ready(report.line);
        }
      });
      if ((await Promise.race([child.ended, woken])) === "woken") {
        await child.stop();
        pause = RESTART_MS.first;
        continue;
      }
      // It ended by itself: before the first success that is the answer.
      if (!served) {
        if (!failed)
          on.error(
            toReport(
              new Fault("module_failed", { detail: `Its process ended (${child.how()}) before it served.` }),
            ),
          );
        return 1;
      }
      if (failed) {
        on.notice("waiting for a change of the module");
        await woken;
        continue;
      }
      if (performance.now() - started > RESTART_MS.young) pause = RESTART_MS.first;
      on.notice(`the serving process ended (${child.how()}); starting another`);
      await Promise.race([delay(pause, undefined, { ref: false }), woken]);
      pause = Math.min(pause * 2, RESTART_MS.most);
    }
    return 0;
  } finally {
    stop.removeEventListener("abort", onStop);
    watching.close();
  }
}

interface ServingChild {
  /** Resolves when it is gone and everything it reported has been heard. */
  readonly ended: Promise<"ended">;
  /** How it ended. */
  how(): string;
  stop(): Promise<void>;
}

function startChild(options: SupervisorOptions, hear: (report: ChildReport) => void): ServingChild {
  const child = fork(options.main, ["dev-child"], {
    execArgv: process.execArgv,
    // Secrets reach it over the channel; a tool's code must not find them in its environment.
    env: {
      ...options.env,
      DATABASE_URL: undefined,
      BULKHEAD_OPERATOR_TOKEN: undefined,
      BULKHEAD_MASTER_KEY: undefined,
    },
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  child.on("message", (message) => {
    const report = parseChildReport(message);
    if (report !== null) hear(report);
  });
  const send = (order: ServeOrder | StopOrder): void => {
    // It may be gone already, which `ended` tells.
    if (child.connected) child.send(order, () => {});
  };
  const ended = goneAndHeard(child).then(() => "ended" as const);
  const kill = (): void => void child.kill("SIGKILL");
  if (options.hurry.aborted) kill();
  options.hurry.addEventListener("abort", kill);
  void ended.then(() => options.hurry.removeEventListener("abort", kill));
  send(options.order);
  return {
    ended,
    how: () => child.signalCode ?? `exit status ${child.exitCode}`,
    async stop() {
      send({ type: "stop" });
      const timer = setTimeout(kill, STOP_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** The exit may be seen before the last messages are. */
async function goneAndHeard(child: ChildProcess): Promise<void> {
  const heard = new Promise<void>((resolve) => child.once("disconnect", resolve));
  await new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    // It could not be started.
    child.on("error", () => resolve());
  });
  await Promise.race([heard, delay(1_000, undefined, { ref: false })]);
}
