import type { StandardJSONSchemaV1, StandardSchemaV1 } from "@standard-schema/spec";

/** JSON Schema of dialect 2020-12. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** A schema of a library that speaks Standard Schema and Standard JSON Schema (zod 4.2 and later, and others). */
export type SchemaLike = (StandardSchemaV1 & StandardJSONSchemaV1) | JsonSchema;

/** The type that a schema's validated value has; `Record<string, unknown>` for a raw JSON Schema. */
export type Validated<S> = S extends StandardSchemaV1
  ? StandardSchemaV1.InferOutput<S>
  : Record<string, unknown>;
