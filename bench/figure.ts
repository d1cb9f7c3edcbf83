import type { BenchRun } from "./bench-run.ts";

/** What became of one aim. `not_there`: the server cannot do it yet, so there is no number. */
type Verdict = "reached" | "missed" | "not_there" | "information";

/** One line of the results: what was asked of a figure, and what was measured. */
export interface FigureLine {
  readonly what: string;
  /** What docs of the project ask for, for example `>= 0.60`; null for a line that is only stated beside the others. */
  readonly reach: string | null;
  readonly measured: string;
  readonly verdict: Verdict;
}

/** A table of the absolute numbers behind the lines. */
export interface FigureTable {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface FigureResult {
  readonly lines: readonly FigureLine[];
  readonly tables: readonly FigureTable[];
  /** How it was measured, and what a reader must know to judge it. */
  readonly notes: readonly string[];
}

/** One figure of the bench: a file in `figures/`, listed in `figures.ts`. */
export interface Figure {
  /** P1, P2 …, or a name for what those have no number for. In capitals: `--only` takes any case. */
  readonly id: string;
  /** Short, for the first table. */
  readonly title: string;
  /** What is measured, in a sentence. */
  readonly about: string;
  run(bench: BenchRun): Promise<FigureResult>;
}

/** A line with an aim "at least", or "at most", that many. */
export function aim(
  what: string,
  of: {
    readonly measured: number;
    readonly atLeast?: number;
    readonly atMost?: number;
    readonly digits?: number;
    readonly unit?: string;
  },
): FigureLine {
  const text = (value: number): string =>
    `${value.toFixed(of.digits ?? 2)}${of.unit === undefined ? "" : ` ${of.unit}`}`;
  const reached =
    (of.atLeast === undefined || of.measured >= of.atLeast) &&
    (of.atMost === undefined || of.measured <= of.atMost);
  const reach =
    of.atLeast !== undefined
      ? `>= ${text(of.atLeast)}`
      : of.atMost !== undefined
        ? `<= ${text(of.atMost)}`
        : null;
  return {
    what,
    reach,
    measured: text(of.measured),
    verdict: reach === null ? "information" : reached ? "reached" : "missed",
  };
}
