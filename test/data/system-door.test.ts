import { readdir, readFile } from "node:fs/promises";
import { expect, test } from "vitest";

/** Every file that goes through the system door. One more is a decision for review: does it really act for no tenant? */
const MAY_USE_THE_SYSTEM_DOOR = [
  "data/administration-repository.ts",
  "data/api-key-administration.ts",
  "data/audit-repository.ts",
  "data/configuration-notifications.ts",
  "data/configuration-repository.ts",
  "data/deployment-check.ts",
  "data/development-issuers.ts",
  "data/development-setup.ts",
  "data/development-storage.ts",
  "data/housekeeping.ts",
  "data/instance-repository.ts",
  "data/isolation-check.ts",
  "data/issuer-administration.ts",
  "data/plan-administration.ts",
  "data/revocation-administration.ts",
  "data/role-assignment-administration.ts",
  "data/session-repository.ts",
  "data/signal-repository.ts",
  "data/state-keys.ts",
  "data/stream-repository.ts",
  "data/system-door.ts",
  "data/task-repository.ts",
  "data/tenant-administration.ts",
  "data/tenant-claims.ts",
  "data/tenant-deletion.ts",
  "data/used-proofs.ts",
  // Compositions: they make it and hand it on.
  "authentication.ts",
  "cli/doctor.ts",
  "development.ts",
  "instance.ts",
  "wire.ts",
];

/** Files that may make a connection at all: the two doors, the migrator, and listening for hints. */
const MAY_CONNECT = [
  "data/embedded/postmaster.ts",
  "data/ensure-database.ts",
  "data/migrate.ts",
  "data/notifications.ts",
  "data/system-door.ts",
  "data/tenant-connections.ts",
];

async function sources(): Promise<Map<string, string>> {
  const root = new URL("../../src/", import.meta.url);
  const names = (await readdir(root, { recursive: true })).filter((name) => name.endsWith(".ts"));
  return new Map(
    await Promise.all(
      names.map(async (name) => [name, await readFile(new URL(name, root), "utf8")] as const),
    ),
  );
}

test("the places that may use the system door are these", async () => {
  const users = [...(await sources())]
    .filter(([, text]) => /SystemDoor|system\.(run|transaction)\(/.test(text))
    .map(([name]) => name);
  expect(users.sort()).toEqual([...MAY_USE_THE_SYSTEM_DOOR].sort());
});

test("there is no third door: nothing else connects to the database", async () => {
  const users = [...(await sources())]
    .filter(([, text]) => /new pg\.(Client|Pool)\b|new (Client|Pool)\(/.test(text))
    .map(([name]) => name);
  expect(users.filter((name) => !MAY_CONNECT.includes(name))).toEqual([]);
});
