import { Fault } from "../core/fault.ts";
import type { JsonSchema } from "../core/schema.ts";

/** A tool parameter that clients mirror into a header `Mcp-Param-{name}` (2026-07-28, "Custom Headers from Tool Parameters"). */
export interface ParameterHeader {
  /** Lower-case header name, `mcp-param-` included. */
  readonly header: string;
  readonly path: readonly string[];
  readonly type: "string" | "integer" | "boolean";
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * The mirrored parameters of an input schema.
 * @throws Fault `server_invalid` for an annotation that the specification forbids: clients would drop the tool.
 */
export function parameterHeaders(schema: JsonSchema, where: string): readonly ParameterHeader[] {
  const found: ParameterHeader[] = [];
  const names = new Set<string>();

  const visit = (node: unknown, path: readonly string[], reachable: boolean): void => {
    if (Array.isArray(node)) {
      for (const member of node) visit(member, path, false);
      return;
    }
    if (typeof node !== "object" || node === null) return;
    for (const [key, value] of Object.entries(node)) {
      if (key === "x-mcp-header") {
        found.push(check(value, (node as { type?: unknown }).type, path, reachable));
      } else if (key === "properties" && typeof value === "object" && value !== null) {
        for (const [name, property] of Object.entries(value)) visit(property, [...path, name], reachable);
      } else if (key !== "enum" && key !== "const" && key !== "default" && key !== "examples") {
        visit(value, path, false);
      }
    }
  };

  const check = (
    name: unknown,
    type: unknown,
    path: readonly string[],
    reachable: boolean,
  ): ParameterHeader => {
    const fail = (why: string): never => {
      throw new Fault("server_invalid", {
        detail: `${where}: x-mcp-header of ${path.join(".") || "the root"} ${why}.`,
      });
    };
    if (typeof name !== "string" || !TOKEN.test(name)) return fail("is not an HTTP field name");
    if (type !== "string" && type !== "integer" && type !== "boolean")
      return fail("may only stand at a string, an integer or a boolean");
    if (!reachable || path.length === 0) return fail("must be reachable through properties alone");
    const header = `mcp-param-${name.toLowerCase()}`;
    if (names.has(header)) return fail("is used twice");
    names.add(header);
    return { header, path, type };
  };

  visit(schema, [], true);
  return Object.freeze(found);
}
