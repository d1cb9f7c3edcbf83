/** A row of a list in order of creation, with its place in that order. */
export interface PlacedRow {
  /** created_at in microseconds since 1970, as bigint text. */
  created_micros: string;
}

/** One row more than was asked for says that there is a next page, which begins after the last row shown. */
export function creationPage<R extends PlacedRow, T>(
  rows: readonly R[],
  limit: number,
  read: { readonly key: (row: R) => string; readonly item: (row: R) => T },
): { items: T[]; next: { createdMicros: string; key: string } | null } {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const more = rows.length > limit && last !== undefined;
  return {
    items: shown.map(read.item),
    next: more ? { createdMicros: last.created_micros, key: read.key(last) } : null,
  };
}

/** Which page of a list is wanted: as many rows as `limit`, after the last one shown before. */
export interface CreationPageRequest {
  readonly after: { readonly createdMicros: string; readonly key: string } | null;
  readonly limit: number;
}

/** What a list's statement is given for it: the position's two parts, and one row more than is shown. */
export function pageValues(page: CreationPageRequest): readonly unknown[] {
  return [page.after?.createdMicros ?? null, page.after?.key ?? null, page.limit + 1];
}
