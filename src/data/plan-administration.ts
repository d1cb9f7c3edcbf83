import type { PartialLimits } from "../tenancy/limits.ts";
import type { PlanRecord } from "../tenancy/plan-record.ts";
import { creationPage, type PlacedRow } from "./creation-page.ts";
import type { SystemConnection, SystemDoor } from "./system-door.ts";
import { violatedConstraint } from "./violated-constraint.ts";

interface PlanRow extends PlacedRow {
  name: string;
  limits: PartialLimits;
  tool_sets: string[];
  version: string;
  created_at: Date;
  updated_at: Date;
}

const COLUMNS = `
  p.name, p.limits, p.tool_sets, p.version, p.created_at, p.updated_at,
  (extract(epoch FROM p.created_at) * 1000000)::bigint AS created_micros`;

const LIST = `
  SELECT ${COLUMNS} FROM bulkhead.plans p
   WHERE $1::bigint IS NULL OR (p.created_at, p.name) > (timestamptz 'epoch' + $1::bigint * interval '1 microsecond', $2::text)
   ORDER BY p.created_at, p.name LIMIT $3`;

const ONE = `SELECT ${COLUMNS} FROM bulkhead.plans p WHERE p.name = $1`;

const PUT = `
  INSERT INTO bulkhead.plans AS p (name, limits, tool_sets) VALUES ($1, $2, $3)
  ON CONFLICT (name) DO UPDATE SET limits = excluded.limits, tool_sets = excluded.tool_sets
  RETURNING ${COLUMNS}`;

const REPLACE_AT_VERSION = `
  UPDATE bulkhead.plans p SET limits = $2, tool_sets = $3 WHERE p.name = $1 AND p.version = ANY ($4::bigint[])
  RETURNING ${COLUMNS}`;

const DELETE = `
  DELETE FROM bulkhead.plans p WHERE p.name = $1 AND ($2::bigint[] IS NULL OR p.version = ANY ($2::bigint[]))
  RETURNING ${COLUMNS}`;

/** Plans as the operator reads and changes them. */
export function createPlanAdministration(system: SystemDoor) {
  return {
    async listPlans(page: {
      readonly after: { readonly createdMicros: string; readonly key: string } | null;
      readonly limit: number;
    }) {
      const { rows } = await system.run("read configuration", (db) =>
        db.query<PlanRow>(LIST, [page.after?.createdMicros ?? null, page.after?.key ?? null, page.limit + 1]),
      );
      return creationPage(rows, page.limit, { key: (row) => row.name, item: toRecord });
    },

    plan: (name: string): Promise<PlanRecord | null> =>
      system.run("read configuration", (db) => read(db, name)),

    putPlan: (
      name: string,
      content: Pick<PlanRecord, "limits" | "toolSets">,
      expected: readonly number[] | null,
    ) =>
      system.run("change configuration", async (db) => {
        const values = [name, JSON.stringify(content.limits), content.toolSets];
        const { rows } =
          expected === null
            ? await db.query<PlanRow>(PUT, values)
            : await db.query<PlanRow>(REPLACE_AT_VERSION, [...values, expected]);
        const row = rows[0];
        if (row === undefined) return { kind: "version_conflict" } as const;
        const plan = toRecord(row);
        // The trigger next_version has counted every change but the first, the insertion.
        return plan.version === 1
          ? ({ kind: "created", plan } as const)
          : ({ kind: "replaced", plan } as const);
      }),

    async deletePlan(name: string, expected: readonly number[] | null) {
      try {
        return await system.run("change configuration", async (db) => {
          const { rows } = await db.query<PlanRow>(DELETE, [name, expected]);
          if (rows[0] !== undefined) return { kind: "done", plan: toRecord(rows[0]) } as const;
          const plan = await read(db, name);
          return plan === null
            ? ({ kind: "plan_not_found" } as const)
            : ({ kind: "version_conflict" } as const);
        });
      } catch (error) {
        if (violatedConstraint(error) === "tenants_plan_fkey") return { kind: "plan_in_use" } as const;
        throw error;
      }
    },
  };
}

async function read(db: SystemConnection, name: string): Promise<PlanRecord | null> {
  const { rows } = await db.query<PlanRow>(ONE, [name]);
  return rows[0] === undefined ? null : toRecord(rows[0]);
}

function toRecord(row: PlanRow): PlanRecord {
  return {
    name: row.name,
    limits: row.limits,
    toolSets: row.tool_sets,
    version: Number(row.version),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
