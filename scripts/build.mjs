#!/usr/bin/env node
/** Makes dist, what the package ships: JavaScript and declarations, and an executable command. */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");
const command = join(dist, "cli", "main.js");
const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");

// A file that is left from an earlier build would be published.
rmSync(dist, { recursive: true, force: true });
try {
  execFileSync(process.execPath, [tsc, "--project", "tsconfig.build.json"], { cwd: root, stdio: "inherit" });
} catch {
  // The compiler has said why.
  process.exit(1);
}

for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  if (entry.isFile() && entry.name.endsWith(".d.ts")) rewriteSpecifiers(join(entry.parentPath, entry.name));
}

if (!existsSync(command) || !readFileSync(command, "utf8").startsWith("#!/usr/bin/env node\n")) {
  console.error("dist/cli/main.js is missing or does not begin with #!/usr/bin/env node");
  process.exit(1);
}
chmodSync(command, 0o755);

/**
 * `rewriteRelativeImportExtensions` is for JavaScript only: TypeScript 6 leaves "./x.ts" in declarations. It
 * finds x.d.ts for that itself, but the package has no x.ts for any other reader of declarations to find.
 */
function rewriteSpecifiers(path) {
  const text = readFileSync(path, "utf8");
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const ends = [];
  const visit = (node) => {
    const specifier = moduleSpecifier(node);
    if (
      specifier !== undefined &&
      /^\.{1,2}\/.*[^.]\.ts$/.test(specifier.text) &&
      !specifier.text.endsWith(".d.ts")
    ) {
      // Up to the closing quote.
      ends.push(specifier.getEnd() - 1);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  const rewritten = ends.reduceRight(
    (result, end) => `${result.slice(0, end - ".ts".length)}.js${result.slice(end)}`,
    text,
  );
  if (rewritten !== text) writeFileSync(path, rewritten);
}

function moduleSpecifier(node) {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return node.moduleSpecifier;
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) return node.argument.literal;
  return undefined;
}
