import { isLoopbackAddress } from "../identity/private-addresses.ts";

/** What a URL of an identity provider may be. */
export interface ProviderUrlRules {
  /** This machine, and http to it: development alone. */
  readonly allowLoopback: boolean;
  /** An issuer has none (RFC 8414 section 2); endpoints may. */
  readonly allowQuery: boolean;
}

/**
 * What is wrong with a URL of an identity provider; null: nothing. Whether its host has a public address is seen when it
 * is asked: names change.
 */
export function providerUrlFlaw(text: string, rules: ProviderUrlRules): string | null {
  if (!/^https?:\/\/[\x21-\x7e]+$/.test(text) || !URL.canParse(text)) {
    return "Must be an https URL of visible ASCII characters";
  }
  const url = new URL(text);
  if (text.includes("#")) return "Must have no fragment";
  if (text.includes("?") && !rules.allowQuery) return "Must have no query";
  if (url.username !== "" || url.password !== "") return "Must have no user";
  // Two ways of writing one address would be two issuers, and what a parser corrects may not be what its reader saw.
  if (url.href !== text && url.href !== `${text}/`) {
    return "Must be written in its normal form: lower case, no default port, no dots for folders, nothing to be escaped";
  }
  const loopback = isLoopback(url.hostname);
  if (url.protocol !== "https:" && !(loopback && rules.allowLoopback)) return "Must be an https URL";
  return loopback && !rules.allowLoopback ? "Must not be of this machine" : null;
}

/** RFC 6761 section 6.3: every name below localhost is. */
function isLoopback(hostname: string): boolean {
  const name = hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
  return name === "localhost" || name.endsWith(".localhost") || isLoopbackAddress(name);
}
