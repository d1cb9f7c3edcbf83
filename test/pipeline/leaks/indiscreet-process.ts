import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TestDatabase } from "../../support/database.ts";

/** A server in a process of its own, which can be looked into from outside. */
export interface IndiscreetProcess {
  readonly url: string;
  readonly operatorToken: string;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Closes its connections, collects garbage, and gives what a crash would leave. */
  dump(): Promise<{ readonly report: string; readonly heap: Buffer }>;
  /** It writes what it has to write, and ends. */
  stop(): Promise<void>;
  /** Ends it however it is, and removes its dumps. */
  close(): Promise<void>;
}

/** @param of.argument what its diagnostic report shows of how it was started. */
export async function startIndiscreetProcess(
  database: TestDatabase,
  of: {
    readonly port: number;
    readonly operatorToken: string;
    readonly masterKey: string;
    readonly argument: string;
  },
): Promise<IndiscreetProcess> {
  const { port, operatorToken, masterKey } = of;
  const directory = await mkdtemp(join(tmpdir(), "bulkhead-dump-test-"));
  const child: ChildProcess = fork(
    fileURLToPath(new URL("../fixtures/serve-indiscreet.ts", import.meta.url)),
    [of.argument],
    {
      execArgv: [
        "--conditions=bulkhead-source",
        "--import",
        "tsx",
        "--expose-gc",
        // Whole strings, not their first 1,024 letters.
        "--heap-snapshot-string-limit=1000000",
      ],
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    },
  );
  let [stdout, stderr] = ["", ""];
  child.stdout?.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const exited = once(child, "exit");
  const order = async (what: object): Promise<void> => {
    const done = once(child, "message");
    child.send(what);
    await Promise.race([
      done,
      exited.then(() => {
        throw new Error(`The process has ended: ${stderr}`);
      }),
    ]);
  };
  await order({ kind: "start", databaseUrl: database.adminUrl, port, operatorToken, masterKey });
  return {
    url: `http://127.0.0.1:${port}`,
    operatorToken,
    stdout: () => stdout,
    stderr: () => stderr,
    async dump() {
      await order({ kind: "dump", directory });
      const snapshot = await readFile(join(directory, "heap.heapsnapshot"));
      // The texts come last; before them are only numbers.
      const texts = snapshot.indexOf('\n"strings":[');
      if (texts < 0) throw new Error("The heap snapshot has no texts.");
      return {
        report: await readFile(join(directory, "report.json"), "utf8"),
        heap: snapshot.subarray(texts),
      };
    },
    async stop() {
      await order({ kind: "stop" });
      child.disconnect();
      await exited;
    },
    async close() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await exited;
      }
      await rm(directory, { recursive: true, force: true });
    },
  };
}
