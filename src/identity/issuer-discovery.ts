import type { GuardedFetch } from "./guarded-fetch.ts";
import { parseStrictObject } from "./strict-json.ts";
import { own } from "./token-parts.ts";

const MAX_URL_LENGTH = 2000;
const MAX_NAME_LENGTH = 500;

/**
 * Finds where an issuer publishes its keys, from its metadata (RFC 8414, OpenID Connect Discovery). Metadata count only
 * where their `issuer` is the one asked for, byte for byte: RFC 8414 section 3.3.
 *
 * @returns what is wrong, as a text for whoever registers the issuer, where none of the places has it.
 */
export async function discoverIssuer(
  issuer: string,
  fetch: GuardedFetch,
): Promise<{ readonly jwksUri: string } | string> {
  if (!URL.canParse(issuer)) return "the issuer is not a URL";
  // RFC 8414 section 2. The text is looked at, since a URL hides an empty query or fragment.
  if (/[?#]/.test(issuer)) return "the issuer has a query or a fragment";
  const flaws: string[] = [];
  for (const place of metadataPlaces(new URL(issuer))) {
    const found = await readMetadata(place, issuer, fetch);
    if (typeof found !== "string") return found;
    flaws.push(`${place}: ${found}`);
  }
  return flaws.join("; ");
}

/** In the order in which MCP clients look: RFC 8414 sections 3.1 and 5, then OpenID Connect Discovery section 4. */
function metadataPlaces({ origin, pathname }: URL): readonly string[] {
  const path = pathname.replace(/\/$/, "");
  const places = new Set([
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}/.well-known/openid-configuration${path}`,
    `${origin}${path}/.well-known/openid-configuration`,
  ]);
  return [...places];
}

async function readMetadata(
  place: string,
  issuer: string,
  fetch: GuardedFetch,
): Promise<{ readonly jwksUri: string } | string> {
  let bytes: Uint8Array;
  try {
    bytes = await fetch(place);
  } catch (error) {
    return error instanceof Error ? error.message : "it cannot be read";
  }
  const metadata = parseStrictObject(bytes);
  if (typeof metadata === "string") return `the answer ${metadata}`;
  const named = own(metadata, "issuer");
  if (named !== issuer) return `the metadata are those of another issuer${nameOf(named)}`;
  const jwksUri = own(metadata, "jwks_uri");
  if (jwksUri === undefined) return "the metadata name no jwks_uri";
  if (!isKeyAddress(jwksUri, issuer)) return "jwks_uri is not an https URL";
  return { jwksUri };
}

/** For the text: only a URL of bounded length and visible ASCII, since whoever answers there could write anything. */
function nameOf(value: unknown): string {
  const isName =
    typeof value === "string" &&
    value.length <= MAX_NAME_LENGTH &&
    /^https?:\/\/[\x21-\x7e]+$/.test(value) &&
    URL.canParse(value);
  return isName ? `, ${value}` : "";
}

/** As safe as the issuer's own address; http is that of an issuer of the development mode. */
function isKeyAddress(value: unknown, issuer: string): value is string {
  if (typeof value !== "string" || value.length > MAX_URL_LENGTH || !URL.canParse(value)) return false;
  const { protocol, username, password } = new URL(value);
  return (
    username === "" &&
    password === "" &&
    (protocol === "https:" || (protocol === "http:" && issuer.startsWith("http:")))
  );
}
