import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { compileCatalog } from "../../src/catalog/catalog.ts";
import { loadServerModule } from "../../src/cli/load-server-module.ts";
import { blocksOf, ROOT, readPage, tableOf } from "./page.ts";

let project: string;
beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "bulkhead-adopting-"));
  await mkdir(join(project, "node_modules"));
  await writeFile(join(project, "package.json"), '{"type":"module"}');
  await symlink(ROOT, join(project, "node_modules/bulkhead-mcp"));
  for (const name of ["@modelcontextprotocol", "zod"])
    await symlink(join(ROOT, "node_modules", name), join(project, "node_modules", name));
});
afterAll(() => rm(project, { recursive: true, force: true }));

test("the page's server is adopted by its three lines", async () => {
  const [module, build] = blocksOf(await readPage("docs/adopting-sdk-servers.md"));
  expect(module?.text.trim().split("\n")).toHaveLength(3);
  await writeFile(join(project, "server.ts"), module?.text ?? "");
  await writeFile(join(project, "build-server.ts"), build?.text ?? "");
  const { server, tools } = compileCatalog(await loadServerModule(join(project, "server.ts")));
  expect(server).toMatchObject({ name: "notes", version: "1.0.0" });
  expect(tools.map(({ definition }) => [definition.name, definition.requires])).toEqual([
    ["add-note", "notes:write"],
  ]);
});

test("a module may export the promise of a server, whose failure is told as its own", async () => {
  const load = async (name: string, text: string) => {
    await writeFile(join(project, name), `import { adoptSdkServer } from "bulkhead-mcp";\n${text}`);
    return loadServerModule(join(project, name));
  };
  const adopting = "export default adoptSdkServer";
  const loaded = await load(
    "later.ts",
    `import { buildServer } from "./build-server.ts";\n${adopting}(buildServer);`,
  );
  expect(loaded.name).toBe("notes");
  const failing = load("never.ts", `${adopting}(() => { throw new TypeError("It has no key."); });`);
  await expect(failing).rejects.toMatchObject({
    code: "module_failed",
    detail: expect.stringContaining("TypeError: It has no key."),
  });
});

test("the page names every option", async () => {
  const rows = tableOf(await readPage("docs/adopting-sdk-servers.md"), "option");
  expect(
    rows.flatMap(([names]) => [...(names ?? "").matchAll(/`(\w+)`/g)].map(([, name]) => name)).sort(),
  ).toEqual([
    "development",
    "migrations",
    "name",
    "permissions",
    "readOnly",
    "requires",
    "tenants",
    "toolSet",
    "version",
  ]);
});
