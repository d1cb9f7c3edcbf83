/** The time limit of one call, or of one body. */
export interface Deadline {
  /** It is over, or does not matter any more. */
  clear(): void;
  /** Stops the clock … */
  pause(): void;
  /** … and lets it go on. */
  resume(): void;
}

/** Time limits of calls under way, and of bodies on their way. */
export interface Deadlines {
  /** @param onPassed called once, when `limitMs` milliseconds have passed without the pauses. */
  begin(limitMs: number, onPassed: () => void): Deadline;
}

/** Below it a timer of its own: a tick would be too coarse. */
const SHORT_MS = 2_000;
/** How often longer limits are looked at: how late one can be noticed, in milliseconds. */
const TICK_MS = 200;

/** Limits of seconds share one timer, which runs only while there are any: one for each call would cost as much as the call. */
export function createDeadlines(monotonic: () => number): Deadlines {
  const open = new Set<CoarseDeadline>();
  let ticking: NodeJS.Timeout | null = null;
  const tick = (): void => {
    const now = monotonic();
    for (const deadline of open) if (deadline.isPassed(now)) deadline.pass();
    if (open.size > 0 || ticking === null) return;
    clearInterval(ticking);
    ticking = null;
  };
  return {
    begin(limitMs, onPassed) {
      if (limitMs < SHORT_MS) return new ExactDeadline(limitMs, onPassed, monotonic);
      ticking ??= setInterval(tick, TICK_MS).unref();
      return new CoarseDeadline(limitMs, onPassed, { open, monotonic });
    },
  };
}

class CoarseDeadline implements Deadline {
  readonly #among: { readonly open: Set<CoarseDeadline>; readonly monotonic: () => number };
  readonly #onPassed: () => void;
  #at: number;
  #left: number | null = null;

  constructor(
    limitMs: number,
    onPassed: () => void,
    among: { readonly open: Set<CoarseDeadline>; readonly monotonic: () => number },
  ) {
    this.#among = among;
    this.#onPassed = onPassed;
    this.#at = among.monotonic() + limitMs;
    among.open.add(this);
  }

  isPassed(now: number): boolean {
    return this.#left === null && now >= this.#at;
  }

  pass(): void {
    this.clear();
    this.#onPassed();
  }

  clear(): void {
    this.#among.open.delete(this);
  }

  pause(): void {
    this.#left ??= this.#at - this.#among.monotonic();
  }

  resume(): void {
    if (this.#left === null) return;
    this.#at = this.#among.monotonic() + this.#left;
    this.#left = null;
  }
}

class ExactDeadline implements Deadline {
  readonly #onPassed: () => void;
  readonly #monotonic: () => number;
  #timer: NodeJS.Timeout | null;
  #at: number;
  #left: number | null = null;

  constructor(limitMs: number, onPassed: () => void, monotonic: () => number) {
    this.#onPassed = onPassed;
    this.#monotonic = monotonic;
    this.#at = monotonic() + limitMs;
    this.#timer = setTimeout(onPassed, limitMs);
  }

  clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#left = null;
  }

  pause(): void {
    if (this.#timer === null) return;
    this.#left = Math.max(0, this.#at - this.#monotonic());
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  resume(): void {
    if (this.#left === null) return;
    this.#at = this.#monotonic() + this.#left;
    this.#timer = setTimeout(this.#onPassed, this.#left);
    this.#left = null;
  }
}
