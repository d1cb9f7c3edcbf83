import { randomBytes } from "node:crypto";
import pg from "pg";
import { inject } from "vitest";

/** A database of the test run's cluster in which nobody has made anything. */
export interface EmptyDatabase {
  readonly url: string;
  query(text: string): Promise<Record<string, unknown>[]>;
  drop(): Promise<void>;
}

export async function createEmptyDatabase(): Promise<EmptyDatabase> {
  const cluster = inject("clusterUrl");
  const name = `empty_${randomBytes(8).toString("hex")}`;
  const url = cluster.replace(/\/[^/?]*(\?|$)/, `/${name}$1`);
  await query(cluster, `CREATE DATABASE ${name} TEMPLATE template0`);
  return {
    url,
    query: (text) => query(url, text),
    drop: async () => {
      await query(cluster, `DROP DATABASE ${name} WITH (FORCE)`);
    },
  };
}

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}
