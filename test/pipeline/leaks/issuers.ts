import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type FakeIssuer, startFakeIssuer } from "../../identity/fake-issuer.ts";

/** Long and random, and with what must be escaped in forms and URLs. */
export const INTROSPECTION_CLIENT = {
  id: "bulkhead",
  secret: `${randomBytes(24).toString("base64url")}%+/:& ${randomBytes(24).toString("base64url")}`,
} as const;

/** An introspection endpoint that answers about each token what it was told to, and may show what it was sent. */
export interface TalkativeEndpoint {
  readonly origin: string;
  readonly endpoint: string;
  /** A token about which this is answered. */
  tokenFor(answer: (token: string, res: ServerResponse, req: IncomingMessage) => void): string;
  close(): Promise<void>;
}

export async function startTalkativeEndpoint(): Promise<TalkativeEndpoint> {
  const idp: FakeIssuer = await startFakeIssuer();
  const answers = new Map<string, (res: ServerResponse, req: IncomingMessage) => void>();
  idp.answer = async (req, res) => {
    let body = "";
    for await (const chunk of req) body += String(chunk);
    const answer = answers.get(new URLSearchParams(body).get("token") ?? "");
    if (answer === undefined) res.end('{"active":false}');
    else answer(res, req);
  };
  return {
    origin: idp.origin,
    endpoint: `${idp.origin}/introspect`,
    tokenFor(answer) {
      const token = randomBytes(32).toString("base64url");
      answers.set(token, (res, req) => answer(token, res, req));
      return token;
    },
    close: () => idp.close(),
  };
}

/** What an endpoint may make of a token that it is asked about: all of these are refused. */
export const ECHOES: readonly (readonly [
  status: number,
  answer: (token: string, res: ServerResponse, req: IncomingMessage) => void,
])[] = [
  [401, (token, res) => res.end(JSON.stringify({ active: false, token }))],
  [401, (token, res) => res.end(JSON.stringify({ active: token }))],
  [401, (token, res) => res.end(JSON.stringify({ active: true, sub: token, aud: token, iss: token }))],
  [401, (token, res) => res.end(JSON.stringify({ active: true, sub: "ada", exp: token, [token]: 1 }))],
  [503, (token, res) => res.end(token)],
  [503, (token, res) => res.end(`{"${token}":1,"${token}":2}`)],
  [503, (token, res) => res.end(`{"active": ${token}}`)],
  [503, (token, res, req) => res.writeHead(500).end(`${token} ${req.headers.authorization}`)],
  [503, (token, res) => res.writeHead(302, { location: `/elsewhere?token=${token}` }).end()],
  [503, (token, res) => res.socket?.end(`HTTP/1.1 200 OK\r\n${token}\u0000\r\n\r\n`)],
  [503, (token, res) => res.socket?.end(`${token}\r\n\r\n`)],
];
