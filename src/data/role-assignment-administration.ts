import { Fault } from "../core/fault.ts";
import type { RoleAssignmentRecord, SubjectName } from "../tenancy/role-assignment-record.ts";
import type { TenantName } from "../tenancy/tenant-record.ts";
import { type CreationPageRequest, creationPage, type PlacedRow, pageValues } from "./creation-page.ts";
import { lockTenant, tenantIdOf } from "./lock-tenant.ts";
import type { SystemDoor } from "./system-door.ts";

/** Subjects of a tenant that have roles assigned: all are in its snapshot. */
const MAX_ASSIGNMENTS = 2_000;
/** Bytes of what they say together: a tenant that fills it must not take others' time and memory with its snapshot. */
const MAX_BYTES = 1_048_576;

interface RoleAssignmentRow extends PlacedRow {
  issuer: string;
  subject: string;
  roles: string[];
  created_at: Date;
  place: string;
}

interface Counts {
  assignments: number;
  same: number;
  bytes_of_others: number;
}

/** Names an assignment in a cursor, which a subject could be too long for: 128 bits of SHA-256 are unique enough. */
const PLACE = `left(encode(sha256(convert_to(a.issuer || E'\\n' || a.subject, 'UTF8')), 'hex'), 32)`;

const COLUMNS = `
  a.issuer, a.subject, a.roles, a.created_at, ${PLACE} AS place,
  (extract(epoch FROM a.created_at) * 1000000)::bigint AS created_micros`;

const LIST = `
  SELECT ${COLUMNS} FROM bulkhead.role_assignments a
   WHERE a.tenant_id = $1
     AND ($2::bigint IS NULL
          OR (a.created_at, ${PLACE} COLLATE "C") > (timestamptz 'epoch' + $2::bigint * interval '1 microsecond', $3::text))
   ORDER BY a.created_at, ${PLACE} COLLATE "C" LIMIT $4`;

const COUNT = `
  SELECT count(*)::int AS assignments, count(*) FILTER (WHERE a.issuer = $2 AND a.subject = $3)::int AS same,
         coalesce(sum(octet_length(a.issuer || a.subject || array_to_string(a.roles, ' ')))
                    FILTER (WHERE NOT (a.issuer = $2 AND a.subject = $3)), 0)::int AS bytes_of_others
    FROM bulkhead.role_assignments a WHERE a.tenant_id = $1`;

const ASSIGN = `
  INSERT INTO bulkhead.role_assignments AS a (tenant_id, issuer, subject, roles) VALUES ($1, $2, $3, $4)
  ON CONFLICT (tenant_id, issuer, subject) DO UPDATE SET roles = excluded.roles
  RETURNING ${COLUMNS}`;

const UNASSIGN = `
  DELETE FROM bulkhead.role_assignments a WHERE a.tenant_id = $1 AND a.issuer = $2 AND a.subject = $3
  RETURNING ${COLUMNS}`;

/** Roles that tenants give to subjects, as the admin API reads and changes them. */
export function createRoleAssignmentAdministration(system: SystemDoor) {
  return {
    listRoleAssignments: (tenant: TenantName, page: CreationPageRequest) =>
      system.run("read configuration", async (db) => {
        const tenantId = await tenantIdOf(db, tenant);
        if (tenantId === null) return null;
        const { rows } = await db.query<RoleAssignmentRow>(LIST, [tenantId, ...pageValues(page)]);
        return { tenantId, ...creationPage(rows, page.limit, { key: (row) => row.place, item: toRecord }) };
      }),

    assignRoles: (tenant: TenantName, { issuer, subject, roles }: Omit<RoleAssignmentRecord, "createdAt">) =>
      system.transaction("change configuration", async (db) => {
        const locked = await lockTenant(db, tenant);
        if (locked === null) return { kind: "tenant_not_found" } as const;
        const unknown = roles.filter((role) => !Object.hasOwn(locked.roles, role));
        if (unknown.length > 0) return { kind: "roles_unknown", roles: unknown } as const;
        const { rows: counts } = await db.query<Counts>(COUNT, [locked.id, issuer, subject]);
        const { assignments = 0, same = 0, bytes_of_others: bytes = 0 } = counts[0] ?? {};
        if (same === 0 && assignments >= MAX_ASSIGNMENTS) return { kind: "too_many" } as const;
        const added = Buffer.byteLength(issuer + subject + roles.join(" "));
        if (bytes + added > MAX_BYTES) return { kind: "too_many" } as const;
        const { rows } = await db.query<RoleAssignmentRow>(ASSIGN, [locked.id, issuer, subject, roles]);
        if (rows[0] === undefined) throw new Fault("internal", { detail: "The roles were not written." });
        const kind = same === 0 ? ("created" as const) : ("replaced" as const);
        return { kind, tenantId: locked.id, assignment: toRecord(rows[0]) };
      }),

    unassignRoles: (tenant: TenantName, { issuer, subject }: SubjectName) =>
      system.transaction("change configuration", async (db) => {
        const tenantId = await tenantIdOf(db, tenant);
        if (tenantId === null) return { kind: "tenant_not_found" } as const;
        const { rows } = await db.query<RoleAssignmentRow>(UNASSIGN, [tenantId, issuer, subject]);
        return rows[0] === undefined
          ? ({ kind: "role_assignment_not_found" } as const)
          : ({ kind: "done", tenantId, assignment: toRecord(rows[0]) } as const);
      }),
  };
}

function toRecord(row: RoleAssignmentRow): RoleAssignmentRecord {
  return { issuer: row.issuer, subject: row.subject, roles: row.roles, createdAt: row.created_at };
}
