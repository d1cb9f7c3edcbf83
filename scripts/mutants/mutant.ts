/** A guard that is broken on purpose. */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  /** Stands exactly once in the file. */
  readonly from: string;
  readonly to: string;
  /** Test files, or folders of them, of which at least one must fail. */
  readonly tests: readonly string[];
}
