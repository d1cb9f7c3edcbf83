/** Runs `task` every so many milliseconds until it is stopped; never twice at once, and a failure does not end it. */
export function every(
  milliseconds: number,
  task: () => unknown,
  onError: (cause: unknown) => void,
): { stop(): void } {
  let busy = false;
  const timer = setInterval(async () => {
    if (busy) return;
    busy = true;
    try {
      await task();
    } catch (error) {
      onError(error);
    } finally {
      busy = false;
    }
  }, milliseconds);
  return { stop: () => clearInterval(timer) };
}
