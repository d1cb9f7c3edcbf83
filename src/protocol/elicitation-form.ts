import { Fault } from "../core/fault.ts";
import type { JsonSchema } from "../core/schema.ts";
import { isObject, type JsonObject, member } from "./json-rpc.ts";

/** A form as a client is shown it: `requestedSchema`, "a restricted subset of JSON Schema" (client, "Elicitation"). */
export interface Form {
  readonly requestedSchema: JsonObject;
  readonly fields: ReadonlyMap<string, JsonObject>;
}

/** What every field may say of itself. */
const ANNOTATIONS = ["title", "description", "default"];
const BOUNDS = ["minimum", "maximum"];
const FORMATS = ["email", "uri", "date", "date-time"];
/** Of the whole: says nothing that a form could show. The answer is checked by the schema as it was written. */
const LEFT_OUT = ["$schema", "title", "description", "additionalProperties"];

/**
 * The form that a JSON Schema is. What the subset has stays as it was written; what a schema library adds that says the
 * same in another way is put into the subset's words.
 *
 * @throws Fault `server_invalid` naming the field, and what of it no form can have.
 */
export function toForm(schema: JsonSchema): Form {
  if (schema.type !== "object") throw unfit("A form is a schema of type object.");
  if (!isObject(schema.properties)) throw unfit("A form has properties.");
  for (const name of Object.keys(schema))
    if (!["type", "properties", "required", ...LEFT_OUT].includes(name))
      throw unfit(`A form cannot have ${name}.`);
  const open = schema.additionalProperties;
  if (isObject(open) && Object.keys(open).length > 0)
    throw unfit("A form has named fields: additionalProperties cannot describe more.");
  const fields = new Map(
    Object.entries(schema.properties).map(([name, field]) => [name, toField(name, field)] as const),
  );
  const { required } = schema;
  if (required !== undefined && !(isTexts(required) && required.every((name) => fields.has(name))))
    throw unfit("required must name fields of the form.");
  const properties = Object.fromEntries(fields);
  return {
    requestedSchema: { type: "object", properties, ...(required === undefined ? {} : { required }) },
    fields,
  };
}

/**
 * The form as revisions before 2025-11-25 have it: they know no titles of choices but `enumNames`. A list of choices they
 * do not know at all; their clients show it as they can.
 */
export function toEarlierForm({ requestedSchema, fields }: Form): JsonObject {
  const properties = [...fields].map(([name, field]) => {
    const { oneOf, ...rest } = field;
    if (!Array.isArray(oneOf)) return [name, field];
    const options = oneOf.filter(isObject);
    const titled = {
      enum: options.map(({ const: value }) => value),
      enumNames: options.map(({ title }) => title),
    };
    return [name, { ...rest, ...titled }];
  });
  return { ...requestedSchema, properties: Object.fromEntries(properties) };
}

function toField(name: string, schema: unknown): JsonObject {
  if (!isObject(schema)) throw unfit(`The field ${name} is not described by a schema.`);
  switch (member(schema, "type")) {
    case "string":
      return schema.oneOf === undefined && schema.enum === undefined && schema.const === undefined
        ? toText(name, schema)
        : toChoice(name, schema);
    case "number":
      return checked(name, schema, { may: BOUNDS, fits: (value) => typeof value === "number" });
    case "integer":
      return checked(name, schema, { may: BOUNDS, fits: (value) => Number.isInteger(value) });
    case "boolean":
      return checked(name, schema, { may: [], fits: (value) => typeof value === "boolean" });
    case "array":
      return toChoices(name, schema);
    case undefined:
      // A union of literals, as schema libraries write it.
      if (schema.anyOf !== undefined) {
        const { anyOf, ...rest } = schema;
        return toChoice(name, { type: "string", ...rest, oneOf: anyOf });
      }
      if (schema.oneOf !== undefined) return toChoice(name, { type: "string", ...schema });
  }
  throw unfit(
    `The field ${name} is no text, number, boolean, choice or list of choices, which are all that a form can have.`,
  );
}

function toText(name: string, schema: JsonObject): JsonObject {
  const { pattern, ...rest } = schema;
  // Schema libraries say with a pattern as well what the format says already.
  const text = rest.format === undefined ? schema : rest;
  if (text.format !== undefined && !FORMATS.some((format) => format === text.format))
    throw unfit(`The field ${name} has a format other than ${FORMATS.join(", ")}.`);
  return checked(name, text, {
    may: ["minLength", "maxLength", "format"],
    fits: (value) => typeof value === "string",
  });
}

/** One of some texts: `enum`, perhaps with `enumNames`, or `oneOf` with titles. */
function toChoice(name: string, schema: JsonObject): JsonObject {
  if (schema.oneOf !== undefined) {
    const { oneOf, ...rest } = schema;
    const options = toOptions(name, oneOf);
    const values = valuesOf(options);
    const choice = hasTitles(options) ? { oneOf: options } : { enum: values };
    return checked(name, { ...rest, ...choice }, { may: Object.keys(choice), fits: isOneOf(values) });
  }
  const { const: only, ...rest } = schema;
  const choice = only === undefined ? schema : { ...rest, enum: [only] };
  const values = toValues(name, choice.enum);
  if (
    choice.enumNames !== undefined &&
    !(isTexts(choice.enumNames) && choice.enumNames.length === values.length)
  )
    throw unfit(`The field ${name} must have as many enumNames as values.`);
  return checked(name, choice, { may: ["enum", "enumNames"], fits: isOneOf(values) });
}

/** Some of some texts. */
function toChoices(name: string, schema: JsonObject): JsonObject {
  const { items } = schema;
  if (!isObject(items)) throw unfit(`The field ${name} does not say which texts may be in the list.`);
  const titled = items.anyOf ?? items.oneOf;
  let given: JsonObject = items;
  let values: readonly string[];
  if (titled === undefined) {
    values = toValues(name, items.enum);
    if (items.type !== "string" || Object.keys(items).length !== 2)
      throw unfit(`The field ${name} must have items of type string and enum, and nothing else.`);
  } else {
    const options = toOptions(name, titled);
    values = valuesOf(options);
    given = hasTitles(options) ? { anyOf: options } : { type: "string", enum: values };
  }
  const isChoice = isOneOf(values);
  return checked(
    name,
    { ...schema, items: given },
    {
      may: ["items", "minItems", "maxItems"],
      fits: (value) => Array.isArray(value) && value.every(isChoice),
    },
  );
}

function toValues(name: string, values: unknown): readonly string[] {
  if (!isTexts(values) || values.length === 0)
    throw unfit(`The field ${name} must offer texts to choose from.`);
  return values;
}

interface Option {
  readonly const: string;
  readonly title?: string;
}

function toOptions(name: string, options: unknown): readonly Option[] {
  if (!Array.isArray(options) || options.length === 0)
    throw unfit(`The field ${name} must offer texts to choose from.`);
  return options.map((option: unknown) => {
    if (!isObject(option)) throw unfit(`The field ${name} has an option that is no object.`);
    const { const: value, title, type, ...rest } = option;
    if (
      typeof value !== "string" ||
      !(title === undefined || typeof title === "string") ||
      !(type === undefined || type === "string") ||
      Object.keys(rest).length > 0
    )
      throw unfit(`The field ${name} must have options of const, a text, and title, and nothing else.`);
    return title === undefined ? { const: value } : { const: value, title };
  });
}

function valuesOf(options: readonly Option[]): readonly string[] {
  return options.map((option) => option.const);
}

/** All of them: a choice of which some are named would look as if the others had no name. */
function hasTitles(options: readonly Option[]): boolean {
  return options.every((option) => option.title !== undefined);
}

function isOneOf(values: readonly string[]): (value: unknown) => boolean {
  return (value) => values.some((each) => each === value);
}

/** A field that has nothing which a form cannot have, and a default that it could have as an answer. */
function checked(
  name: string,
  schema: JsonObject,
  { may, fits }: { readonly may: readonly string[]; readonly fits: (value: unknown) => boolean },
): JsonObject {
  for (const keyword of Object.keys(schema))
    if (keyword !== "type" && !ANNOTATIONS.includes(keyword) && !may.includes(keyword))
      throw unfit(`The field ${name} has ${keyword}, which no form can have.`);
  const value = member(schema, "default");
  if (value !== undefined && !fits(value)) throw unfit(`The default of the field ${name} does not fit it.`);
  return schema;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}

function unfit(detail: string): Fault {
  return new Fault("server_invalid", {
    detail,
    remedy:
      "Ask with an object of texts, numbers, booleans, choices and lists of choices, and check the rest in the handler.",
  });
}
