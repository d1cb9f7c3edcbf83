import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** The checkout. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** A code block of a page, without the indentation of the list that it stands in. */
export interface Block {
  readonly language: string;
  readonly text: string;
  /** The heading under which it stands. */
  readonly section: string;
  /** The paragraph before it. */
  readonly before: string;
}

export const readPage = (path: string): Promise<string> => readFile(`${ROOT}/${path}`, "utf8");

export function blocksOf(page: string): Block[] {
  const blocks: Block[] = [];
  const fence = /^( *)```(\w*)\n(.*?)^\1```$/gms;
  let after = 0;
  let section = "";
  for (const match of page.matchAll(fence)) {
    const [whole, indent = "", language = "", text = ""] = match;
    const prose = page.slice(after, match.index);
    section = [...prose.matchAll(/^#+ (.*)$/gm)].at(-1)?.[1] ?? section;
    after = match.index + whole.length;
    const before =
      prose
        .trim()
        .split(/\n\s*\n/)
        .at(-1) ?? "";
    blocks.push({ language, section, before, text: text.replaceAll(new RegExp(`^${indent}`, "gm"), "") });
  }
  return blocks;
}

/** The rows of the table whose header begins so; a cell's text without the code marks. */
export function tableOf(page: string, header: string): string[][] {
  const lines = page.split("\n");
  const start = lines.findIndex((line) => line.startsWith(`| ${header} |`));
  if (start < 0) throw new TypeError(`There is no table ${header}.`);
  const rows: string[][] = [];
  for (const line of lines.slice(start + 2)) {
    if (!line.startsWith("|")) break;
    rows.push(
      line
        .slice(1, -1)
        .split("|")
        .map((cell) => cell.trim()),
    );
  }
  return rows;
}

/** The texts that a cell has as code. */
export const codesIn = (text: string): string[] =>
  [...text.matchAll(/`([^`]+)`/g)].map(([, code]) => code ?? "");

/** Files that a page links to. */
export const linksIn = (page: string): string[] =>
  [...page.matchAll(/\]\((?!http)([^)#]+)(?:#[^)]*)?\)/g)].map(([, link]) => link ?? "");
