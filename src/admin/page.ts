import type { TenantId } from "../core/ids.ts";

/** A place in a list that is in order of creation. */
export interface PagePosition {
  /** Microseconds since 1970, as decimal digits: PostgreSQL's own precision, which a Date would cut. */
  readonly createdMicros: string;
  /** Breaks ties: a tenant's id, a plan's name. */
  readonly key: string;
}

export interface PageRequest {
  /** Null: from the beginning. */
  readonly after: PagePosition | null;
  readonly limit: number;
}

export interface PageOf<T> {
  readonly items: readonly T[];
  /** Null: this was the last page. */
  readonly next: PagePosition | null;
}

/** A page of what one tenant has. */
export interface TenantPageOf<T> extends PageOf<T> {
  readonly tenantId: TenantId;
}
