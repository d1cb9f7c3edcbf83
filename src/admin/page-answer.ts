import type { PageOf } from "./page.ts";
import { writeCursor } from "./page-cursor.ts";

/** A page as the schema `pageOf` describes it. */
export function pageBody<T, S>(page: PageOf<T>, show: (item: T) => S) {
  return {
    items: page.items.map(show),
    ...(page.next === null ? {} : { nextCursor: writeCursor(page.next) }),
  };
}
