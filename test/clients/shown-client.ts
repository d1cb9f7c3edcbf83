/** What tests need of an MCP client, whichever it is. */
export interface ShownClient {
  tools(): Promise<readonly string[]>;
  call(name: string, args?: Record<string, unknown>, more?: CallOptions): Promise<Called>;
  read(uri: string): Promise<string>;
  prompt(name: string, args: Record<string, string>): Promise<string>;
  /** Values for an argument of a prompt. */
  complete(
    prompt: string,
    argument: { readonly name: string; readonly value: string },
  ): Promise<readonly string[]>;
  /** What came of the client's log. */
  readonly messages: readonly unknown[];
  /** How often it was told that the tools have changed. */
  readonly changes: () => number;
  close(): Promise<void>;
}

export interface CallOptions {
  readonly onProgress?: (progress: number) => void;
  readonly signal?: AbortSignal;
}

export interface Called {
  readonly text: string;
  readonly structured: unknown;
  readonly isError: boolean;
}

/** Where a client connects to. */
export type Target =
  | { readonly kind: "http"; readonly url: string; readonly token: string }
  | { readonly kind: "stdio"; readonly command: StdioCommand };

export interface StdioCommand {
  readonly command: string;
  readonly args: string[];
  readonly cwd: string;
  readonly env: Record<string, string>;
  /** Told what the process writes to standard error. */
  readonly onError: (text: string) => void;
}

/** What the user of every client here answers to a form. */
export const FILLED_IN = { action: "accept" as const, content: { name: "Ada" } };

export const CLIENT = { name: "shown", version: "1.0.0" };

/** A tool's result as tests compare it. */
export function calledOf(result: Record<string, unknown>): Called {
  const content = Array.isArray(result.content) ? result.content : [];
  return {
    text: content.map((block: { text?: string }) => block.text ?? "").join("\n"),
    structured: result.structuredContent,
    isError: result.isError === true,
  };
}

/** The text of what was read. */
export function textOf(contents: readonly Record<string, unknown>[]): string {
  return contents.map(({ text }) => String(text)).join("\n");
}

export function promptText(messages: readonly { readonly content: unknown }[]): string {
  return messages.map(({ content }) => (content as { text?: string }).text ?? "").join("\n");
}
