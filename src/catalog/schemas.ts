import type { StandardJSONSchemaV1, StandardSchemaV1 } from "@standard-schema/spec";
import { Ajv2020, type ErrorObject, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { Fault } from "../core/fault.ts";
import type { JsonSchema, SchemaLike } from "../core/schema.ts";

/** What a validator says: the value to use, or what is wrong, in words for the caller. */
export type Validation =
  | { readonly valid: true; readonly value: unknown }
  | { readonly valid: false; readonly issues: string };

/** A schema as the catalog uses it: what clients are shown, and the compiled check. */
export interface CompiledSchema {
  readonly json: JsonSchema;
  validate(value: unknown): Validation | Promise<Validation>;
}

const DIALECT = "https://json-schema.org/draft/2020-12/schema";
/** Issues told to a caller at once. */
const MAX_ISSUES = 10;
/** Characters of a name or of the allowed values in one issue. */
const MAX_SHOWN = 300;

/**
 * Compiles a tool's schema. A library's schema is turned into JSON Schema by the library itself (Standard JSON Schema);
 * a raw JSON Schema is checked by ajv, dialect 2020-12, and never fetches a reference.
 *
 * @throws Fault `schema_unrepresentable` for a type that JSON Schema does not have; `server_invalid` for a schema that is none.
 */
export type CompileSchema = (
  schema: SchemaLike,
  direction: "input" | "output",
  where: string,
) => CompiledSchema;

/** A compiler for all tools of a server: for each to compile the schema of schemas anew took 9 ms a tool at every start. */
export function createSchemaCompiler(): CompileSchema {
  let judge: Ajv2020 | null = null;
  return (schema, direction, where) => {
    // A schema may be a function: some libraries' are.
    if (schema === null || (typeof schema !== "object" && typeof schema !== "function"))
      throw new Fault("server_invalid", { detail: `${where} is not a schema.` });
    if (isStandardSchema(schema)) return compileStandard(schema, direction, where);
    judge ??= new Ajv2020({ strict: false, logger: false });
    return compileRaw(judge, schema, where);
  };
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
  if (standard.jsonSchema === undefined) {
    throw new Fault("schema_unrepresentable", {
      detail: `${where}: ${standard.vendor} does not speak Standard JSON Schema.`,
      remedy: "Use a version of the library that does (zod 4.2 or later), or write JSON Schema.",
    });
  }
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
  if (json.$schema === DIALECT) delete json.$schema;
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

/** @param judge says whether a schema is one; it learns none of them. */
function compileRaw(judge: Ajv2020, schema: JsonSchema, where: string): CompiledSchema {
  let check: ValidateFunction;
  try {
    judge.validateSchema(schema, true);
    // A validator of its own: schemas of two tools may have the same $id, and none can refer to another's. Without a
    // logger ajv ignores a format that it does not know, as the dialect wants, and writes nothing.
    const ajv = new Ajv2020({ strict: false, logger: false, meta: false, validateSchema: false });
    addFormats.default(ajv);
    check = ajv.compile(schema);
  } catch (cause) {
    throw new Fault("server_invalid", {
      detail: `${where} is not a JSON Schema: ${cause instanceof Error ? cause.message : String(cause)}`,
      cause,
    });
  }
  // ajv's own keyword: the check would give a promise, which is true whatever comes of it.
  if ("$async" in check)
    throw new Fault("server_invalid", { detail: `${where} is not a JSON Schema: it has $async.` });
  return {
    json: schema,
    validate(value) {
      if (check(value)) return { valid: true, value };
      const issues = (check.errors ?? []).slice(0, MAX_ISSUES).map(issueText);
      return { valid: false, issues: issues.join("; ") };
    },
  };
}

/** ajv's words, and what they leave out: which member is too much, and which values there are. */
function issueText(error: ErrorObject): string {
  const { additionalProperty, unevaluatedProperty, allowedValues, allowedValue } = error.params;
  const extra: unknown = additionalProperty ?? unevaluatedProperty;
  const allowed: unknown = allowedValues ?? allowedValue;
  const more = typeof extra === "string" ? extra : allowed === undefined ? "" : JSON.stringify(allowed);
  const path = error.instancePath
    .slice(1)
    .split("/")
    // RFC 6901 section 4.
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"))
    .join(".");
  const text = `${error.message ?? "is not valid"}${more === "" ? "" : `: ${more.slice(0, MAX_SHOWN)}`}`;
  return path === "" ? text : `${path}: ${text}`;
}
