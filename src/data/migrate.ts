import { createHash, randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { Fault } from "../core/fault.ts";
import { type ConnectionSettings, type DoorRole, rolePassword } from "./connection-settings.ts";
import { requireDevelopmentDatabase } from "./development-database.ts";
import { scramVerifier } from "./scram-verifier.ts";
import { transactionWord } from "./transaction-words.ts";

/** What a run of {@link migrate} did. */
export interface MigrationReport {
  /** Files applied now, as `scope/name`. */
  readonly applied: readonly string[];
  /** True where this run made the database Bulkhead's. */
  readonly created: boolean;
}

const OWN = new URL("../../sql/", import.meta.url);
const NAME = /^(\d{4})_[a-z0-9_]+\.sql$/;
/** Any constant: all migrators of a database wait for each other. */
const LOCK = 7_305_808_869_231_650_000n;
/** The claim under which the owner sees rows while a migration runs (sql/0001, policy bulkhead_migration). */
const MIGRATION_TENANT = "*migration*";

interface Migration {
  readonly scope: "bulkhead" | "app";
  readonly name: string;
  readonly text: string;
  readonly checksum: string;
}

/**
 * Brings a database to this version: makes the roles, then applies Bulkhead's own migrations and those of the server
 * module, each in a transaction of its own, under one lock. Files are numbered `0001_name.sql`; one that was applied
 * may not change.
 *
 * @param options.mode what the database is marked as when it is new. For `development` a database that is neither empty
 *   nor marked so is refused before anything is written.
 * @throws Fault `migration_failed` naming the file; `database_unavailable`; `database_not_development`.
 */
export async function migrate(
  admin: ConnectionSettings,
  options: { readonly mode: "development" | "production"; readonly app?: URL | undefined },
): Promise<MigrationReport> {
  const own = await readMigrations("bulkhead", OWN);
  const app = options.app === undefined ? [] : await readMigrations("app", options.app);
  const client = new pg.Client({ ...admin, application_name: "bulkhead_migrate" });
  try {
    await client.connect();
  } catch (cause) {
    throw new Fault("database_unavailable", { detail: message(cause), cause });
  }
  try {
    await client.query("SELECT pg_catalog.pg_advisory_lock($1)", [LOCK]);
    if (options.mode === "development") await requireDevelopmentDatabase(client);
    await ensureRoles(client, admin);
    await ensureDatabaseRights(client);
    await client.query(`CREATE TABLE IF NOT EXISTS public.bulkhead_migrations (
      scope text NOT NULL, name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (scope, name))`);
    await client.query("GRANT SELECT ON public.bulkhead_migrations TO bulkhead_system");
    const { rows } = await client.query<{ scope: string; name: string; checksum: string }>(
      "SELECT scope, name, checksum FROM public.bulkhead_migrations",
    );
    const done = new Map(rows.map((row) => [`${row.scope}/${row.name}`, row.checksum]));
    const created = done.size === 0;
    const pending: Migration[] = [];
    for (const migration of [...own, ...app]) {
      const key = keyOf(migration);
      const before = done.get(key);
      if (before === undefined) pending.push(migration);
      else if (before !== migration.checksum) {
        throw new Fault("migration_failed", {
          detail: `${key} was changed after it had been applied.`,
          remedy: "Restore the file, and put the change into a new migration.",
        });
      }
    }
    for (const migration of pending) await apply(client, migration, options.mode);
    return { applied: pending.map(keyOf), created };
  } finally {
    await client.end().catch(() => {});
  }
}

function keyOf(migration: Migration): string {
  return `${migration.scope}/${migration.name}`;
}

/** File names of this version's own migrations, in order. */
export async function ownMigrationNames(): Promise<readonly string[]> {
  return (await readMigrations("bulkhead", OWN)).map((migration) => migration.name);
}

async function readMigrations(scope: Migration["scope"], directory: URL): Promise<Migration[]> {
  let names: string[];
  try {
    names = await readdir(directory);
  } catch (cause) {
    throw new Fault("migration_failed", {
      detail: `The directory ${fileURLToPath(directory)} cannot be read.`,
      cause,
    });
  }
  const files = names.filter((name) => name.endsWith(".sql")).sort();
  const numbers = new Set<string>();
  return Promise.all(
    files.map(async (name) => {
      const number = NAME.exec(name)?.[1];
      if (number === undefined || numbers.has(number)) {
        throw new Fault("migration_failed", {
          detail: `${name}: migrations are named 0001_name.sql, each number once.`,
          remedy: "Rename the file.",
        });
      }
      numbers.add(number);
      const text = await readFile(new URL(name, directory), "utf8");
      const word = transactionWord(text);
      if (word !== null) {
        throw new Fault("migration_failed", {
          detail: `${name}: it says ${word}, and a migration is one transaction already.`,
          remedy: `Remove the statement ${word} from the file.`,
        });
      }
      return { scope, name, text, checksum: createHash("sha256").update(text).digest("hex") };
    }),
  );
}

async function apply(
  client: pg.Client,
  migration: Migration,
  mode: "development" | "production",
): Promise<void> {
  try {
    await client.query("BEGIN");
    if (migration.scope === "app") {
      const claim = randomBytes(32).toString("hex");
      await client.query(
        "INSERT INTO bulkhead.tenant_claims (claim_hash, tenant_id, issued_by, expires_at) VALUES (sha256(convert_to($1, 'UTF8')), $2, 'migrate', now() + interval '1 day')",
        [claim, MIGRATION_TENANT],
      );
      await client.query(`SET LOCAL bulkhead.claim = '${claim}'`);
      await client.query("SET LOCAL search_path = app, public, pg_temp");
      await client.query("SET LOCAL ROLE bulkhead_owner");
    }
    await client.query(migration.text);
    await client.query("RESET ROLE");
    await client.query("SET LOCAL search_path = pg_catalog, pg_temp");
    // With the first migration, so that no interruption leaves a database of Bulkhead's without its mark.
    await client.query(
      "INSERT INTO bulkhead.deployment (mode) SELECT $1 WHERE NOT EXISTS (SELECT FROM bulkhead.deployment)",
      [mode],
    );
    if (migration.scope === "app") {
      await client.query("DELETE FROM bulkhead.tenant_claims WHERE tenant_id = $1", [MIGRATION_TENANT]);
    }
    await client.query("INSERT INTO public.bulkhead_migrations (scope, name, checksum) VALUES ($1, $2, $3)", [
      migration.scope,
      migration.name,
      migration.checksum,
    ]);
    await client.query("COMMIT");
  } catch (cause) {
    await client.query("ROLLBACK").catch(() => {});
    throw new Fault("migration_failed", {
      detail: `${keyOf(migration)}: ${message(cause)}`,
      cause,
    });
  }
}

/** Makes the roles, or brings them back to what they must be. Roles belong to the whole cluster, not to one database. */
async function ensureRoles(client: pg.Client, admin: ConnectionSettings): Promise<void> {
  const login: DoorRole[] = ["bulkhead_system", "bulkhead_tenant"];
  await createRole(client, "bulkhead_owner", "NOLOGIN");
  for (const role of login) await createRole(client, role, "LOGIN");
  for (const role of login) {
    const verifier = client.escapeLiteral(scramVerifier(rolePassword(admin, role)));
    await inSharedCatalog(() => client.query(`ALTER ROLE ${role} PASSWORD ${verifier}`));
  }
  await boundTemporaryFiles(client);
  await inSharedCatalog(() => client.query("GRANT bulkhead_owner TO CURRENT_USER"));
}

/** Keeps one tenant's sorting from filling the disk. Only a superuser may; a managed server has a bound of its own. */
async function boundTemporaryFiles(client: pg.Client): Promise<void> {
  try {
    await inSharedCatalog(() => client.query("ALTER ROLE bulkhead_tenant SET temp_file_limit = '512MB'"));
  } catch (error) {
    if ((error as { code?: string }).code !== "42501") throw error;
  }
}

/** Tries again while another database's migrator changes the same row: advisory locks hold within one database only. */
async function inSharedCatalog(change: () => Promise<unknown>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await change();
      return;
    } catch (error) {
      // "tuple concurrently updated" has no SQLSTATE of its own (XX000); 23505 is two first grants at once.
      const raced =
        (error as { code?: string }).code === "23505" || /tuple concurrently/.test(message(error));
      if (!raced || tries === 20) throw error;
    }
  }
}

/** Rights on the database itself, at every run: a dump, a restore and a template leave them behind. */
async function ensureDatabaseRights(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ name: string }>("SELECT current_database() AS name");
  const name = client.escapeIdentifier(rows[0]?.name ?? "");
  await client.query(`REVOKE ALL ON DATABASE ${name} FROM PUBLIC`);
  await client.query(`GRANT CONNECT ON DATABASE ${name} TO bulkhead_system, bulkhead_tenant`);
}

async function createRole(client: pg.Client, role: string, login: "LOGIN" | "NOLOGIN"): Promise<void> {
  const { rowCount } = await client.query("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1", [role]);
  if (rowCount === 0) {
    try {
      await client.query(
        `CREATE ROLE ${role} ${login} NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION NOBYPASSRLS`,
      );
    } catch (error) {
      // Another database's migrator in the same cluster was faster: 42710 duplicate_object, 23505 in the catalog.
      const code = (error as { code?: string }).code;
      if (code !== "42710" && code !== "23505") throw error;
    }
  }
}

function message(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
