/** What has been started and must be stopped, last first: at the end, after a failure, and at Ctrl-C. */
export class Cleanup {
  readonly #steps: (() => unknown)[] = [];
  #running: Promise<void> | null = null;

  /**
   * Remembers a step. Gives a function that does it now.
   * @throws TypeError when everything is being stopped already: the step has then been done at once.
   */
  async add(step: () => unknown): Promise<() => Promise<void>> {
    if (this.#running !== null) {
      await step();
      throw new TypeError("The bench is stopping.");
    }
    this.#steps.push(step);
    return async () => {
      const at = this.#steps.lastIndexOf(step);
      if (at < 0) return;
      this.#steps.splice(at, 1);
      await step();
    };
  }

  /** Does every step, each even where another fails. */
  run(): Promise<void> {
    this.#running ??= this.#runAll();
    return this.#running;
  }

  async #runAll(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step();
      } catch (error) {
        console.error("bench: could not clean up:", error);
      }
    }
  }
}
