/**
 * Runs knip in the working folder and prints `{ issues, seen }` as JSON. Knip's command counts the files it
 * has seen but does not name them; its session can be asked. A process of its own, because knip reads the
 * working folder when it is imported and keeps a core busy.
 */
import { relative } from "node:path";
import { createOptions, createSession } from "knip/session";
import { sourceFiles } from "./source-files.mjs";

const root = process.cwd();
const session = await createSession(await createOptions({ cwd: root, isSession: true, args: {} }));
const { issues: byType, hasConfigLoadErrors } = session.getIssues();
if (hasConfigLoadErrors) throw new Error("knip could not load a configuration file that it needs");

const issues = Object.entries(byType).flatMap(([type, byFile]) =>
  Object.values(byFile).flatMap((bySymbol) =>
    Object.values(bySymbol).map((issue) => ({
      type,
      path: relative(root, issue.filePath).replaceAll("\\", "/"),
      symbol: issue.symbols?.map(({ symbol }) => symbol).join(", ") ?? issue.symbol,
    })),
  ),
);
// Knip's graph holds what the entries reach; what they do not reach is an issue of type "files".
const unused = new Set(issues.filter(({ type }) => type === "files").map(({ path }) => path));
const seen = sourceFiles(root).filter(
  (path) => unused.has(path) || session.describeFile(path, { isShowContention: false }) !== undefined,
);
process.stdout.write(JSON.stringify({ issues, seen }));
