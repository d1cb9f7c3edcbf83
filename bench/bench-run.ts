import type { Cleanup } from "./cleanup.ts";
import type { CpuPlacement } from "./cpu-placement.ts";
import type { LoadGenerator } from "./load/load-generator.ts";
import type { ShippedPackage } from "./shipped-package.ts";

/** What every figure is given to measure with. */
export interface BenchRun {
  /** The checkout. */
  readonly root: string;
  /** A folder that goes when the bench ends. */
  readonly scratch: string;
  readonly shipped: ShippedPackage;
  readonly cpus: CpuPlacement;
  readonly load: LoadGenerator;
  readonly cleanup: Cleanup;
  /** How often and how long: one short round where the numbers are only for trying. */
  readonly rounds: { readonly count: number; readonly seconds: number; readonly warmUpSeconds: number };
  /** Folder for CPU profiles of one more round that counts for nothing; null: none. */
  readonly profileTo: string | null;
  /** Tells whoever waits what is going on. */
  progress(text: string): void;
}
