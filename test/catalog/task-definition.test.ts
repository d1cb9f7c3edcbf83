import { expect, test } from "vitest";
import { compileCatalog } from "../../src/catalog/catalog.ts";
import { defineServer, defineTool, type TaskDefinition } from "../../src/catalog/define.ts";

const compile = (task: unknown) =>
  compileCatalog(
    defineServer({
      name: "jobs",
      version: "1.0.0",
      tools: [
        defineTool({ name: "job", description: "Works.", task: task as TaskDefinition, run: () => "done" }),
      ],
    }),
  );

test.each([
  { support: "always" },
  { support: "preferred", ttlMs: 1_000, pollIntervalMs: 10, rerun: true, before: () => {} },
  { support: "preferred", ttlMs: 30 * 86_400_000, pollIntervalMs: 3_600_000, rerun: false },
])("a tool may run as the task %j", (task) => {
  expect(compile(task).tools[0]?.definition.task).toEqual(task);
});

test.each([
  [{}, "task.support"],
  [{ support: "never" }, "task.support"],
  [{ support: "always", ttlMs: 999 }, "task.ttlMs"],
  [{ support: "always", ttlMs: 30 * 86_400_000 + 1 }, "task.ttlMs"],
  [{ support: "always", ttlMs: 1_000.5 }, "task.ttlMs"],
  [{ support: "always", pollIntervalMs: 9 }, "task.pollIntervalMs"],
  [{ support: "always", pollIntervalMs: "1000" }, "task.pollIntervalMs"],
  [{ support: "always", rerun: "yes" }, "task.rerun"],
  [{ support: "always", before: {} }, "task.before"],
])("a module with the task %j is refused at start", (task, member) => {
  expect(() => compile(task)).toThrow(member);
});
