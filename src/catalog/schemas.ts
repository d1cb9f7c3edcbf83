import type { StandardJSONSchemaV1, StandardSchemaV1 } from "@standard-schema/spec";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { Fault } from "../core/fault.ts";
import type { JsonSchema, SchemaLike } from "./define.ts";

/** What a validator says: the value to use, or what is wrong, in words for the caller. */
export type Validation =
  | { readonly valid: true; readonly value: unknown }
  | { readonly valid: false; readonly issues: string };

/** A schema as the catalog uses it: what clients are shown, and the compiled check. */
export interface CompiledSchema {
  readonly json: JsonSchema;
  validate(value: unknown): Validation | Promise<Validation>;
}

/** Issues told to a caller at once. */
const MAX_ISSUES = 10;

/**
 * Compiles a tool's schema. A library's schema is turned into JSON Schema by the library itself (Standard JSON Schema);
 * a raw JSON Schema is checked by ajv, dialect 2020-12, and never fetches a reference.
 *
 * @throws Fault `schema_unrepresentable` for a type that JSON Schema does not have; `server_invalid` for a schema that is none.
 */
export function compileSchema(
  schema: SchemaLike,
  direction: "input" | "output",
  where: string,
): CompiledSchema {
  if (isStandardSchema(schema)) return compileStandard(schema, direction, where);
  return compileRaw(schema, where);
}

function isStandardSchema(schema: SchemaLike): schema is StandardSchemaV1 & StandardJSONSchemaV1 {
  return "~standard" in schema;
}

function compileStandard(
  schema: StandardSchemaV1 & StandardJSONSchemaV1,
  direction: "input" | "output",
  where: string,
): CompiledSchema {
  const standard = schema["~standard"];
  let json: Record<string, unknown>;
  try {
    json = { ...standard.jsonSchema[direction]({ target: "draft-2020-12" }) };
  } catch (cause) {
    throw new Fault("schema_unrepresentable", {
      detail: `${where}: ${cause instanceof Error ? cause.message : String(cause)}`,
      cause,
    });
  }
  // 2020-12 is the default dialect of MCP; saying so in every tool would only make the lists longer.
  delete json.$schema;
  return {
    json: Object.freeze(json),
    validate(value) {
      const result = standard.validate(value);
      return result instanceof Promise ? result.then(toValidation) : toValidation(result);
    },
  };
}

function toValidation(result: StandardSchemaV1.Result<unknown>): Validation {
  if (result.issues === undefined) return { valid: true, value: result.value };
  const issues = result.issues.slice(0, MAX_ISSUES).map((issue) => {
    const path = (issue.path ?? [])
      .map((part) => String(typeof part === "object" ? part.key : part))
      .join(".");
    return path === "" ? issue.message : `${path}: ${issue.message}`;
  });
  return { valid: false, issues: issues.join("; ") };
}

function compileRaw(schema: JsonSchema, where: string): CompiledSchema {
  let check: ValidateFunction;
  try {
    // One validator each: schemas of different tools may use the same $id.
    const ajv = new Ajv2020({ strict: false, allErrors: false, validateFormats: true });
    addFormats.default(ajv);
    check = ajv.compile(schema);
  } catch (cause) {
    throw new Fault("server_invalid", {
      detail: `${where} is not a JSON Schema: ${cause instanceof Error ? cause.message : String(cause)}`,
      cause,
    });
  }
  return {
    json: schema,
    validate(value) {
      if (check(value)) return { valid: true, value };
      const issues = (check.errors ?? []).slice(0, MAX_ISSUES).map((error) => {
        const path = error.instancePath.slice(1).replaceAll("/", ".");
        return path === ""
          ? (error.message ?? "is not valid")
          : `${path}: ${error.message ?? "is not valid"}`;
      });
      return { valid: false, issues: issues.join("; ") };
    },
  };
}
