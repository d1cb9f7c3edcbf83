import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { stop, transform } from "esbuild";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/**
 * Copied, with the server modules that the command is given: their `bulkhead-mcp` is the compiled one, since Node looks
 * for it from where a file really lies.
 */
const COPIED = ["package.json", "examples", "test/cli/fixtures", "test/clients/fixtures"];
const LINKED = ["node_modules", "sql"];
const COMPILED = { src: "dist", "test/docs/fixtures": "test/docs/fixtures" };
/** A file of ours in an import, as esbuild writes it. */
const SPECIFIER = /(\b(?:from |import\()"\.{1,2}\/[^"]*)\.ts"/g;

/**
 * The package as JavaScript, laid out as the checkout is. A command starts in a third of the time that its source needs,
 * and tests run hundreds of them.
 */
export interface CompiledCommand {
  readonly root: string;
  /** For `node`. */
  readonly main: string;
  remove(): Promise<void>;
}

/** Compiles src as it is now, each file by itself and unchecked: `npm run check` is what checks types. */
export async function compileCommand(): Promise<CompiledCommand> {
  // Not below node_modules, whose frames the command leaves out of a module's stack.
  const root = await mkdtemp(join(tmpdir(), "bulkhead-command-"));
  const remove = (): Promise<void> => rm(root, { recursive: true, force: true });
  try {
    for (const name of COPIED) await cp(join(ROOT, name), join(root, name), { recursive: true });
    for (const name of LINKED) await symlink(join(ROOT, name), join(root, name), "junction");
    for (const [source, target] of Object.entries(COMPILED))
      await compile(join(ROOT, source), join(root, target));
  } catch (error) {
    await remove();
    throw error;
  } finally {
    await stop();
  }
  return { root, main: join(root, "dist", "cli", "main.js"), remove };
}

async function compile(source: string, target: string): Promise<void> {
  const compileFile = async (file: string): Promise<void> => {
    const { code } = await transform(await readFile(join(source, file), "utf8"), {
      loader: "ts",
      format: "esm",
      target: "es2023",
      tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
    });
    const path = join(target, file.replace(/\.ts$/, ".js"));
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, code.replaceAll(SPECIFIER, '$1.js"'));
  };
  const files = (await readdir(source, { recursive: true })).filter(
    (file) => file.endsWith(".ts") && !file.endsWith(".d.ts"),
  );
  await Promise.all(files.map(compileFile));
}
