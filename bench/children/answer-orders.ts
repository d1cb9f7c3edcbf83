import type { ChildReply } from "../child-program.ts";

/**
 * The child's half of `child-program.ts`: answers orders until the parent lets go of it, then closes and ends. The
 * parent going away, however it goes, is the same.
 */
export function answerOrders<Order>(program: {
  readonly answer: (order: Order) => Promise<unknown>;
  readonly close: () => Promise<void>;
}): void {
  const reply = (message: ChildReply): void => {
    // A parent that has let go meanwhile waits for no answer.
    if (process.connected) process.send?.(message);
  };
  process.on("message", (order) => {
    program.answer(order as Order).then(
      (answer) => reply({ answer: answer ?? null }),
      (error: unknown) =>
        reply({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    );
  });
  process.once("disconnect", () => {
    program.close().finally(() => process.exit(0));
  });
}
