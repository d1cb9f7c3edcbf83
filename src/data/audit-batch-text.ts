import type { AuditRow } from "../core/audit-row.ts";

/** Beyond this the memory is not kept for the next batch, in bytes. */
const MAX_KEPT = 4 * 1_048_576;
/** Characters that a row has besides what was sealed: its hash, quotation marks, commas. */
const ADDED = 68;
/** Most bytes of one UTF-16 code unit in UTF-8. */
const UNIT_BYTES = 3;

/** Makes the one JSON text of a batch of rows: of each what was sealed, with its hash at the end of the array. */
export interface AuditBatchText {
  /** Hands `use` the text in UTF-8. It stands in memory that serves the next batch again once `use` has settled. */
  of<R>(rows: readonly AuditRow[], use: (json: Buffer) => Promise<R>): Promise<R>;
}

/**
 * A batch has some hundreds of kilobytes. As strings, joined and encoded anew each time, they would cost more than all
 * the sealing: so rows are encoded one by one into memory that has been touched before.
 */
export function createAuditBatchText(): AuditBatchText {
  let spare = Buffer.alloc(0);
  return {
    async of(rows, use) {
      let characters = 2;
      for (const { sealed } of rows) characters += sealed.length + ADDED;
      const memory =
        spare.length >= characters * UNIT_BYTES ? spare : Buffer.allocUnsafe(characters * UNIT_BYTES);
      // In use: a second batch at the same time takes memory of its own.
      spare = Buffer.alloc(0);
      try {
        let end = 0;
        for (const { sealed, hash } of rows) {
          end += memory.write(end === 0 ? "[" : ",", end, "latin1");
          // Without its closing bracket, which comes after the hash.
          end += memory.write(sealed, end, "utf8") - 1;
          end += memory.write(`,"${hash}"]`, end, "latin1");
        }
        end += memory.write(end === 0 ? "[]" : "]", end, "latin1");
        return await use(memory.subarray(0, end));
      } finally {
        if (memory.length <= MAX_KEPT) spare = memory;
      }
    },
  };
}
