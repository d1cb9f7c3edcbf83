import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { codesIn, linksIn, ROOT, readPage, tableOf } from "./page.ts";

const page = await readPage("SECURITY.md");

test("every file that is to show a defence is there, and is a test", async () => {
  const rows = tableOf(page, "attacker");
  expect(rows.length).toBeGreaterThan(20);
  for (const row of rows) {
    const files = codesIn(row[3] ?? "").filter((text) => text.startsWith("test/"));
    expect([row[0], files.length > 0]).toEqual([row[0], true]);
    for (const file of files) {
      expect(file).toMatch(/\.test\.ts$/);
      expect(await readFile(join(ROOT, file), "utf8")).toMatch(/\b(test|it)[.(]/);
    }
  }
});

test("every other file that the page names is there", async () => {
  const files = codesIn(page).filter((text) => /^(src|test|docs|scripts)\//.test(text));
  for (const file of [...files, ...linksIn(page)])
    expect([file, (await stat(join(ROOT, file))).isFile()]).toEqual([file, true]);
});
