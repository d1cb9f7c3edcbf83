/** Where one stream of changes says what it has to say, in the words of its generation and on its transport. */
export interface Outlet {
  /** Nobody can be told anything any more. */
  readonly gone: boolean;
  /** Says that the stream is open: before anything else. Gives the bytes. */
  begin(): number;
  /** @param params members of `params` as JSON, without braces; may be empty. */
  notify(method: string, params: string): void;
  /** Keeps what is between here and the reader from taking silence for the end. */
  keepAlive(): void;
  /** Says that nothing follows; closes when the reader has it. */
  end(): void;
  /** Drops the connection. */
  destroy(): void;
  /** Resolves when the reader has taken what waits for it, or is gone; null: nothing much waits. */
  drained(): Promise<void> | null;
  /** Each listener is told once, when the connection is done with it, for whatever reason. */
  onClosed(listener: () => void): void;
}
