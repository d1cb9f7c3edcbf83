/** Of the first bytes that come in pieces. */
const FIRST_CAPACITY = 16_384;

/**
 * Puts a piece behind the first `length` bytes of `held`: in the same memory where there is room, and otherwise in twice as
 * much, but no more than `most`. A list of the pieces would hold a hundred bytes and more for each: a sender of one byte at a
 * time could have a body of 1 MB take 400.
 */
export function withPiece(
  held: Buffer,
  of: { readonly length: number; readonly piece: Buffer; readonly most: number },
): Buffer {
  const { length, piece, most } = of;
  const needed = length + piece.length;
  let memory = held;
  if (needed > held.length) {
    memory = Buffer.allocUnsafe(Math.min(most, Math.max(needed, 2 * held.length, FIRST_CAPACITY)));
    held.copy(memory, 0, 0, length);
  }
  piece.copy(memory, length);
  return memory;
}
