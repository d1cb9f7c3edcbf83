import { startFakeIssuer } from "../fake-issuer.ts";

/** With a colon, a percent sign and a letter outside ASCII: both parts are form-encoded first (RFC 6749 section 2.3.1). */
export const INTROSPECTION_CLIENT = { id: "bulkhead:1", secret: "p%ss wörd:+/" } as const;

/** An introspection endpoint: a token is the answer to be given about it, encoded. */
export interface IntrospectionEndpoint {
  readonly origin: string;
  readonly endpoint: string;
  close(): Promise<void>;
}

/** An opaque token that the endpoint answers with these members, or with this text. */
export const opaque = (answer: Readonly<Record<string, unknown>> | string): string =>
  Buffer.from(typeof answer === "string" ? answer : JSON.stringify(answer)).toString("base64url");

/** Answers 500 for `"fail"`, and 401 to whoever is not the client that is registered. */
export async function startIntrospection(): Promise<IntrospectionEndpoint> {
  const idp = await startFakeIssuer();
  const encoded = (text: string): string => new URLSearchParams({ "": text }).toString().slice(1);
  const expected = `Basic ${Buffer.from(`${encoded(INTROSPECTION_CLIENT.id)}:${encoded(INTROSPECTION_CLIENT.secret)}`).toString("base64")}`;
  idp.answer = async (req, res) => {
    let body = "";
    for await (const chunk of req) body += String(chunk);
    const text = Buffer.from(new URLSearchParams(body).get("token") ?? "", "base64url").toString();
    if (req.headers.authorization !== expected) res.writeHead(401).end();
    else if (text === "fail") res.writeHead(500).end();
    else res.writeHead(200, { "content-type": "application/json" }).end(text);
  };
  return { origin: idp.origin, endpoint: `${idp.origin}/introspect`, close: () => idp.close() };
}
