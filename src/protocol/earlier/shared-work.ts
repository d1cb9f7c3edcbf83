import type { Refusal } from "../../core/refusal.ts";
import type { Work } from "../open-work.ts";

/** One piece of work that several operations are part of: what ends it ends each of them. */
export class SharedWork {
  readonly #whole: Work;
  readonly #listeners = new Set<(why: Refusal) => void>();

  constructor(whole: Work) {
    this.#whole = whole;
    whole.onEnd((why) => {
      for (const listener of [...this.#listeners]) listener(why);
    });
  }

  /** The work of one of them. The whole is over with whoever began it, not with this. */
  part(): Work {
    const whole = this.#whole;
    const listeners = this.#listeners;
    let own: ((why: Refusal) => void) | null = null;
    const leave = (): void => {
      if (own !== null) listeners.delete(own);
      own = null;
    };
    return {
      get ended() {
        return whole.ended;
      },
      onEnd(listener) {
        leave();
        if (whole.ended !== null) return listener(whole.ended);
        own = listener;
        listeners.add(listener);
      },
      finish: leave,
      keepUntil: (closed) => whole.keepUntil(closed),
    };
  }
}
