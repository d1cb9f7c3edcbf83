import type { Figure, FigureLine, FigureResult, FigureTable } from "./figure.ts";

const VERDICTS: Readonly<Record<FigureLine["verdict"], string>> = {
  reached: "yes",
  missed: "no",
  not_there: "not there yet",
  information: "",
};

/** Everything that was measured, as the page that is printed and kept. */
export function resultsPage(of: {
  readonly date: Date;
  readonly machine: readonly string[];
  /** How long and how often; says so where that is too little to trust. */
  readonly how: string;
  readonly results: readonly { readonly figure: Figure; readonly result: FigureResult }[];
  readonly unmeasured: readonly string[];
}): string {
  const parts = [
    "# Bench results",
    `Measured by \`npm run bench\` on ${of.date.toISOString().slice(0, 16).replace("T", " ")} UTC. ${of.how}`,
    of.machine.map((fact) => `- ${fact}`).join("\n"),
    "Figures are ratios taken in one run on one machine; absolute numbers differ from machine to machine.",
    table({
      columns: ["", "figure", "to reach", "measured", "reached"],
      rows: of.results.flatMap(({ figure, result }) =>
        result.lines.map((line) => [
          figure.id,
          `${figure.title}: ${line.what}`,
          line.reach ?? "",
          line.measured,
          VERDICTS[line.verdict],
        ]),
      ),
    }),
    ...(of.unmeasured.length === 0 ? [] : [`Not measured: ${of.unmeasured.join(", ")}.`]),
    ...of.results.flatMap(({ figure, result }) => [
      `## ${figure.id}: ${figure.title}`,
      figure.about,
      ...result.tables.map(table),
      result.notes.map((note) => `- ${note}`).join("\n"),
    ]),
  ];
  return `${parts.join("\n\n")}\n`;
}

function table({ columns, rows }: FigureTable): string {
  const widths = columns.map((column, i) =>
    Math.max(3, column.length, ...rows.map((row) => (row[i] ?? "").length)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, i) => (cells[i] ?? "").padEnd(width)).join(" | ")} |`;
  return [
    line(columns),
    `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`,
    ...rows.map(line),
  ].join("\n");
}
