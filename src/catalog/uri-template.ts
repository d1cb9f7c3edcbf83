import { Fault } from "../core/fault.ts";

/** A resource's address: a fixed URI or an RFC 6570 template of level 1, compiled. */
export interface UriPattern {
  /** False for a fixed URI. */
  readonly isTemplate: boolean;
  /** The variables' decoded values where `uri` fits. */
  match(uri: string): Readonly<Record<string, string>> | null;
}

const VARIABLE = /\{([A-Za-z_][A-Za-z0-9_]*)\}/g;
/** Longest URI that is matched at all. */
const MAX_URI = 2_048;

/** What a value may be made of when it is expanded: so what cannot tell where one ends. */
const NO_DELIMITER = /^[A-Za-z0-9._~%-]*$/;

/**
 * @throws Fault `server_invalid` for operators of higher levels, a variable used twice, two variables with nothing
 *   reserved between them, or something that is no URI.
 */
export function compileUri(pattern: string): UriPattern {
  const fail = (why: string): never => {
    throw new Fault("server_invalid", { detail: `The resource URI ${JSON.stringify(pattern)} ${why}.` });
  };
  if (typeof pattern !== "string" || !/^[a-z][a-z0-9+.-]*:/i.test(pattern) || pattern.length > MAX_URI)
    fail("does not begin with a scheme, or is too long");
  const names = [...pattern.matchAll(VARIABLE)].map((match) => match[1] ?? "");
  if (/[{}]/.test(pattern.replaceAll(VARIABLE, ""))) fail("uses more of RFC 6570 than {name}");
  if (new Set(names).size !== names.length) fail("uses a variable twice");
  // RFC 6570 section 1.4: only a character that no value contains says where a value ends. Without one, matching would
  // have several answers, and a regular expression would take polynomial time to look for them.
  const literals = pattern.split(/\{[^}]*\}/);
  if (literals.slice(1, -1).some((literal) => NO_DELIMITER.test(literal)))
    fail('has two variables with no reserved character, such as "/", between them');
  if (names.length === 0) {
    return { isTemplate: false, match: (uri) => (uri === pattern ? {} : null) };
  }
  // Each variable takes what a level 1 expansion can make: unreserved characters and percent-encoding, never a slash.
  const expression = new RegExp(
    `^${literals
      .map((literal) => literal.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"))
      .join("((?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})+)")}$`,
  );
  return {
    isTemplate: true,
    match(uri) {
      if (uri.length > MAX_URI) return null;
      const match = expression.exec(uri);
      if (match === null) return null;
      try {
        return Object.fromEntries(
          names.map((name, index) => [name, decodeURIComponent(match[index + 1] ?? "")]),
        );
      } catch {
        return null;
      }
    },
  };
}
