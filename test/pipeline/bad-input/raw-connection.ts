import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** An answer as its bytes say it. */
export interface RawAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests read whatever the wire has, and assert what it must be.
  readonly json: any;
}

/** One connection, over which a test sends any bytes and reads one answer after another. */
export class RawConnection {
  readonly #socket: Socket;
  /** Resolves when the connection is over, whoever ended it. */
  readonly closed: Promise<unknown>;
  #received = Buffer.alloc(0);
  #wake: (() => void) | null = null;
  #over = false;
  #ending = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake?.();
    });
    this.closed = new Promise((resolve) => {
      socket.once("close", () => {
        this.#over = true;
        this.#wake?.();
        resolve(undefined);
      });
    });
  }

  static async open(url: string): Promise<RawConnection> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    const connection = new RawConnection(socket);
    await once(socket, "connect");
    return connection;
  }

  /** False also where it is about to end: the last answer says so, or this side did. */
  get isOpen(): boolean {
    return !this.#over && !this.#ending;
  }

  /** Bytes that came and were not read as part of an answer. */
  get unread(): number {
    return this.#received.length;
  }

  write(bytes: string | Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Says that nothing follows, and reads on. */
  end(): void {
    this.#socket.end();
  }

  stopReading(): void {
    this.#socket.pause();
  }

  destroy(): void {
    this.#ending = true;
    this.#socket.destroy();
  }

  /** The next answer. @throws TypeError where the connection is over before there is one. */
  async answer(): Promise<RawAnswer> {
    for (;;) {
      const read = parseAnswer(this.#received);
      if (read !== null) {
        this.#received = this.#received.subarray(read.length);
        this.#ending = read.answer.headers.get("connection") === "close";
        return read.answer;
      }
      if (this.#over) throw new TypeError(`The connection ended after ${this.#received.length} bytes.`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** The bytes of a request. Of a header with several values each stands in a line of its own. */
export function rawRequest(
  url: string,
  of: {
    readonly method?: string;
    readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
    readonly body?: string | Uint8Array;
    /** What Content-Length says, where that is not the truth; null: none. */
    readonly length?: number | null;
  },
): Buffer {
  const { host, pathname } = new URL(url);
  const body = Buffer.from(of.body ?? "");
  const length = of.length === undefined ? body.length : of.length;
  const lines = [`${of.method ?? "POST"} ${pathname} HTTP/1.1`];
  const headers = {
    host,
    ...of.headers,
    ...(length === null ? {} : { "content-length": String(length) }),
  };
  for (const [name, value] of Object.entries(headers)) {
    for (const each of typeof value === "string" ? [value] : (value ?? [])) lines.push(`${name}: ${each}`);
  }
  return Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), body]);
}

/** One chunk of a chunked body. */
export function chunk(bytes: string): string {
  return `${Buffer.byteLength(bytes).toString(16)}\r\n${bytes}\r\n`;
}

function parseAnswer(received: Buffer): { readonly answer: RawAnswer; readonly length: number } | null {
  const end = received.indexOf("\r\n\r\n");
  if (end < 0) return null;
  const [first = "", ...lines] = received.subarray(0, end).toString("latin1").split("\r\n");
  const status = Number(first.split(" ")[1]);
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    }),
  );
  const rest = received.subarray(end + 4);
  const body =
    headers.get("transfer-encoding") === "chunked"
      ? parseChunks(rest)
      : parseSized(rest, Number(headers.get("content-length") ?? 0));
  if (body === null) return null;
  let json: unknown;
  try {
    json = JSON.parse(body.text);
  } catch {
    json = undefined;
  }
  return { answer: { status, headers, text: body.text, json }, length: end + 4 + body.length };
}

interface Body {
  readonly text: string;
  readonly length: number;
}

function parseSized(rest: Buffer, size: number): Body | null {
  return rest.length < size ? null : { text: rest.subarray(0, size).toString(), length: size };
}

function parseChunks(rest: Buffer): Body | null {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const line = rest.indexOf("\r\n", at);
    if (line < 0) return null;
    const size = Number.parseInt(rest.subarray(at, line).toString(), 16);
    const next = line + 2 + size + 2;
    if (rest.length < next) return null;
    if (size === 0) return { text: Buffer.concat(parts).toString(), length: next };
    parts.push(rest.subarray(line + 2, line + 2 + size));
    at = next;
  }
}
