import { type JsonObject, parseStrictObject } from "./strict-json.ts";

/** A compact JWS taken apart. Nothing in it is verified. */
export interface TokenParts {
  readonly header: JsonObject;
  readonly payload: JsonObject;
}

/** Takes a compact JWS apart; or says what is wrong with it. */
export function readTokenParts(token: string): TokenParts | string {
  const parts = token.split(".", 4);
  if (parts.length !== 3) return "not a compact JWS";
  const [encodedHeader = "", encodedPayload = "", encodedSignature = ""] = parts;
  const headerBytes = decodeBase64Url(encodedHeader);
  const payloadBytes = decodeBase64Url(encodedPayload);
  if (headerBytes === null || payloadBytes === null || decodeBase64Url(encodedSignature) === null) {
    return "a part is not base64url";
  }
  const header = parseStrictObject(headerBytes);
  if (typeof header === "string") return `header ${header}`;
  const payload = parseStrictObject(payloadBytes);
  if (typeof payload === "string") return `payload ${payload}`;
  return { header, payload };
}

/** A member of its own, never one of the prototype. */
export function own(object: JsonObject, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Only the one canonical encoding: Node also takes padding, the other alphabet, line breaks and stray bits. */
function decodeBase64Url(text: string): Uint8Array | null {
  if (text === "") return null;
  const bytes = Buffer.from(text, "base64url");
  return bytes.toString("base64url") === text ? bytes : null;
}
