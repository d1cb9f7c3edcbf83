import type { Answer } from "./admin-client.ts";
import { terminalJson, terminalText } from "./terminal-text.ts";

/** A column of a list as people read it: its heading, and what stands in it. */
export type Column = readonly [heading: string, cell: (row: Answer) => unknown];

/** Writes a list: for people as columns, or as one line of JSON. */
export function printList(rows: readonly Answer[], columns: readonly Column[], json: boolean): void {
  if (json) {
    printJson({ items: rows });
    return;
  }
  if (rows.length === 0) {
    print("None.");
    return;
  }
  const table = [
    columns.map(([heading]) => heading.toUpperCase()),
    ...rows.map((row) => columns.map(([, cell]) => shown(cell(row)))),
  ];
  const widths = columns.map((_, at) => Math.max(...table.map((line) => line[at]?.length ?? 0)));
  for (const line of table) {
    const cells = line.map((cell, at) => cell.padEnd(widths[at] ?? 0));
    print(cells.join("  ").trimEnd());
  }
}

/** Writes the members of one thing, a line each; absent ones are left out. */
export function printRecord(members: readonly (readonly [name: string, value: unknown])[]): void {
  const present = members.filter(([, value]) => value !== undefined && value !== null);
  const width = Math.max(0, ...present.map(([name]) => name.length));
  for (const [name, value] of present) print(`${name.padEnd(width)}  ${shown(value)}`);
}

/** Writes one line of JSON. */
export function printJson(value: unknown): void {
  process.stdout.write(`${terminalJson(value)}\n`);
}

/** Writes one line, in which nothing that a server sent can act on the terminal. */
export function print(line: string): void {
  process.stdout.write(`${terminalText(line)}\n`);
}

function shown(value: unknown): string {
  if (value === undefined || value === null) return "-";
  if (Array.isArray(value)) return value.length === 0 ? "-" : value.map(shown).join(" ");
  return terminalText(typeof value === "object" ? JSON.stringify(value) : String(value));
}
