import pg from "pg";

/** The name of the unique (23505) or foreign key (23503) constraint that refused a statement; null for other errors. */
export function violatedConstraint(error: unknown): string | null {
  if (!(error instanceof pg.DatabaseError) || (error.code !== "23505" && error.code !== "23503")) return null;
  return error.constraint ?? null;
}
