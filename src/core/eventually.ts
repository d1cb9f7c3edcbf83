/** A value that is there, or will be. */
export type Eventually<T> = T | Promise<T>;

/** Goes on at once where nothing has to be waited for: what is cached costs no turn of the event loop. */
export function after<T, R>(value: Eventually<T>, next: (value: T) => Eventually<R>): Eventually<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}
