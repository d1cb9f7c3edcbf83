import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

/** The rules of the house that no linter holds for us. They read syntax, so comments and strings may say anything. */
export async function houseRules(root, files) {
  const seen = [];
  const found = [];
  for (const path of files) {
    if (hasVagueName(path)) found.push(`vague-name: ${path}: name the file after what it exports`);
    if (path.startsWith("src/")) found.push(...findings(path, readFileSync(join(root, path), "utf8")));
    seen.push(path);
  }
  return { ok: found.length === 0, output: found.join("\n"), expected: files, seen };
}

function hasVagueName(path) {
  return path.split("/").some((part) => /^(utils?|helpers?|common|misc)(\.|$)/i.test(part));
}

function findings(path, text) {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const inCli = path.startsWith("src/cli/");
  const found = [];
  const report = (node, rule, why) => {
    const { line } = file.getLineAndCharacterOfPosition(node.getStart(file));
    found.push(`${rule}: ${path}:${line + 1}: ${why}`);
  };
  const visit = (node) => {
    const exported = forbiddenExport(node);
    if (exported !== undefined) report(node, exported.rule, exported.why);
    if (!inCli && readsEnvironment(node)) {
      report(node, "environment", "only src/cli reads the environment; take the value as an argument");
    }
    if (!inCli && isConsole(node))
      report(node, "console", "only src/cli writes to the console; emit an event");
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

function forbiddenExport(node) {
  const byDefault = { rule: "default-export", why: "export by name" };
  if (ts.isExportAssignment(node)) return byDefault;
  if (ts.isExportSpecifier(node) && node.name.text === "default") return byDefault;
  if (ts.canHaveModifiers(node)) {
    const modifiers = ts.getModifiers(node) ?? [];
    if (modifiers.some((modifier) => modifier.kind === ts.SyntaxKind.DefaultKeyword)) return byDefault;
  }
  if (
    ts.isExportDeclaration(node) &&
    (node.exportClause === undefined || ts.isNamespaceExport(node.exportClause))
  ) {
    return { rule: "export-all", why: "list the exported names one by one" };
  }
  return undefined;
}

/** `process.env`, `process["env"]`, `const { env } = process`, and any import of node:process. */
function readsEnvironment(node) {
  if (ts.isPropertyAccessExpression(node)) return node.name.text === "env" && isProcess(node.expression);
  if (ts.isElementAccessExpression(node)) {
    return (
      isProcess(node.expression) &&
      !(ts.isStringLiteralLike(node.argumentExpression) && node.argumentExpression.text !== "env")
    );
  }
  if (ts.isVariableDeclaration(node)) {
    return node.initializer !== undefined && isProcess(node.initializer) && !picksOnlyOthers(node.name);
  }
  return importsFrom(node, /^(node:)?process$/);
}

/** Whether a declaration's pattern names properties, and env is not among them. */
function picksOnlyOthers(name) {
  return (
    ts.isObjectBindingPattern(name) &&
    name.elements.every(
      (element) =>
        element.dotDotDotToken === undefined && (element.propertyName ?? element.name).getText() !== "env",
    )
  );
}

function isProcess(node) {
  if (ts.isParenthesizedExpression(node) || ts.isNonNullExpression(node) || ts.isAsExpression(node)) {
    return isProcess(node.expression);
  }
  return isGlobal(node, "process");
}

/** `console.log`, `const { log } = console`, and any import of node:console. */
function isConsole(node) {
  if (ts.isPropertyAccessExpression(node) || ts.isElementAccessExpression(node)) {
    return isGlobal(node.expression, "console");
  }
  if (ts.isVariableDeclaration(node)) {
    return node.initializer !== undefined && isGlobal(node.initializer, "console");
  }
  return importsFrom(node, /^(node:)?console$/);
}

function importsFrom(node, name) {
  if (!ts.isImportDeclaration(node) && !ts.isExportDeclaration(node)) return false;
  const from = node.moduleSpecifier;
  return from !== undefined && ts.isStringLiteral(from) && name.test(from.text);
}

/** `name` or `globalThis.name`. */
function isGlobal(node, name) {
  if (ts.isIdentifier(node)) return node.text === name;
  return (
    ts.isPropertyAccessExpression(node) &&
    node.name.text === name &&
    ts.isIdentifier(node.expression) &&
    /^(globalThis|global)$/.test(node.expression.text)
  );
}
