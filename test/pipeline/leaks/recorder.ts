import { type HttpAnswer, send } from "../../support/mcp-request.ts";
import type { Secrets } from "../../support/secret-search.ts";

/** Requests as they are sent, the credentials in them, and what was answered. */
export interface Recorder {
  readonly secrets: Secrets;
  /** Status, headers and body of every answer but those that give a credential out. */
  readonly answers: readonly string[];
  /** Takes note of a secret; gives it back. */
  secret(name: string, text: string): string;
  /** Takes note of a compact JWS: of the whole, and of its signature, which is what others lack. */
  jws(name: string, token: string): string;
  /** @throws where the status is not the one expected: a request that does something else shows nothing. */
  send(
    expected: number,
    url: string,
    request: {
      readonly method?: string;
      readonly headers?: Record<string, string | string[]>;
      readonly body?: string;
    },
    options?: { readonly givesOut?: boolean },
  ): Promise<HttpAnswer>;
}

export function createRecorder(): Recorder {
  const secrets = new Map<string, string>();
  const answers: string[] = [];
  const note = (name: string, text: string): void => {
    if (text.length < 16) throw new TypeError(`${name} is too short to be looked for.`);
    let unique = name;
    for (let i = 2; secrets.has(unique); i++) unique = `${name} (${i})`;
    secrets.set(unique, text);
  };
  return {
    secrets,
    answers,
    secret(name, text) {
      note(name, text);
      return text;
    },
    jws(name, token) {
      note(name, token);
      const signature = token.split(".")[2] ?? "";
      if (signature !== "") note(`the signature of ${name}`, signature);
      return token;
    },
    async send(expected, url, request, { givesOut = false } = {}) {
      const answer = await send(url, request);
      const { status, headers, text } = answer;
      if (status !== expected)
        throw new Error(`${request.method ?? "POST"} ${url}: ${status} instead of ${expected}: ${text}`);
      if (!givesOut) answers.push(`${status} ${JSON.stringify(headers)} ${text}`);
      return answer;
    },
  };
}
