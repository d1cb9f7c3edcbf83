import { defineConfig } from "vitest/config";

/** With it `bulkhead-mcp` is src/index.ts, so that no test runs against an old build. */
const SOURCE = "bulkhead-source";

export default defineConfig({
  // Nothing is written into the tree.
  cacheDir: "node_modules/.cache/vite",
  ssr: {
    resolve: {
      // Instead of Vite's own, which pick builds for bundlers ("module"): packages are loaded as Node loads them.
      conditions: [SOURCE, "node"],
      externalConditions: [SOURCE, "node", "module-sync"],
    },
  },
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    pool: "forks",
    // A process serves several files, one after the other: to start one for each would cost a fifth of the run.
    isolate: false,
    // For what a test loads through Node itself, and for the workers and children that inherit it.
    execArgv: [`--conditions=${SOURCE}`],
    fileParallelism: true,
    maxWorkers: 3,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ["default"],
  },
});
