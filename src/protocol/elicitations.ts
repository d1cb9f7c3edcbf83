import { randomUUID } from "node:crypto";
import { type CompiledSchema, createSchemaCompiler, type Validation } from "../catalog/schemas.ts";
import { after, type Eventually } from "../core/eventually.ts";
import { Fault } from "../core/fault.ts";
import type { SchemaLike, Validated } from "../core/schema.ts";
import type { ClientAbility, ElicitAnswer, ElicitRequest } from "../tenancy/client.ts";
import type { InputRequest } from "./conversation.ts";
import { type Form, toEarlierForm, toForm } from "./elicitation-form.ts";
import { isObject, type JsonObject, member } from "./json-rpc.ts";
import type { Revision } from "./revisions.ts";

/** A question to the user, ready to be sent. */
export interface PreparedElicitation<Content> {
  readonly needs: ClientAbility;
  readonly request: InputRequest;
  /** Whether a client's result answers it, with content that fits the form. */
  accepts(result: JsonObject): Eventually<boolean>;
  /** The answer of a result that is accepted. */
  read(result: JsonObject): Promise<ElicitAnswer<Content>>;
}

/** Makes questions of what handlers want to know. */
export interface Elicitations {
  /**
   * @param revision the client's: its questions are asked in its words.
   * @throws Fault `server_invalid` for a form or an address that the specification does not allow.
   */
  prepare<S extends SchemaLike>(
    request: ElicitRequest<S>,
    revision: Revision,
  ): PreparedElicitation<Validated<S>>;
}

/** Revisions that have forms alone, and do not call them so. */
const FORMS_ALONE: ReadonlySet<Revision> = new Set(["2025-06-18", "2025-03-26"]);
/** The one revision whose visits have an id. */
const WITH_ID: Revision = "2025-11-25";

interface CompiledForm {
  readonly form: Form;
  readonly compiled: CompiledSchema;
}

export function createElicitations(newId: () => string = randomUUID): Elicitations {
  const compile = createSchemaCompiler();
  /** By the schema itself, which is usually one for all calls. */
  const forms = new WeakMap<object, CompiledForm>();

  const formOf = (schema: SchemaLike): CompiledForm => {
    const before = forms.get(schema);
    if (before !== undefined) return before;
    const compiled = compile(schema, "input", "The schema of an elicitation");
    const made = { compiled, form: toForm(compiled.json) };
    forms.set(schema, made);
    return made;
  };

  return {
    prepare(request, revision) {
      const { message } = request;
      if (typeof message !== "string" || message === "")
        throw new Fault("server_invalid", { detail: "An elicitation needs a message to the user." });
      if ("url" in request) return visit(message, checkAddress(request.url), { revision, newId });
      return fill(message, formOf(request.schema), revision);
    },
  };
}

/** A form to fill in. */
function fill<S extends SchemaLike>(
  message: string,
  { form, compiled }: CompiledForm,
  revision: Revision,
): PreparedElicitation<Validated<S>> {
  const validate = (content: unknown): Eventually<Validation> =>
    isObject(content)
      ? compiled.validate(withDefaults(content, form))
      : { valid: false, issues: "There is no content." };
  const params = FORMS_ALONE.has(revision)
    ? { message, requestedSchema: toEarlierForm(form) }
    : { mode: "form", message, requestedSchema: form.requestedSchema };
  return {
    needs: "elicitation.form",
    request: { method: "elicitation/create", params },
    accepts(result) {
      const action = actionOf(result);
      return action === "accept"
        ? after(validate(member(result, "content")), ({ valid }) => valid)
        : action !== null;
    },
    async read(result) {
      const action = actionOf(result);
      if (action === "decline" || action === "cancel") return { action };
      const validation = await validate(member(result, "content"));
      if (action === null || !validation.valid) throw new TypeError("This result was not accepted.");
      return { action, content: validation.value as Validated<S> };
    },
  };
}

/** An address to visit. That a user accepts says that it was opened, and not what came of it. */
function visit<S extends SchemaLike>(
  message: string,
  url: string,
  { revision, newId }: { readonly revision: Revision; readonly newId: () => string },
): PreparedElicitation<Validated<S>> {
  const id = revision === WITH_ID ? { elicitationId: newId() } : {};
  return {
    needs: "elicitation.url",
    request: { method: "elicitation/create", params: { mode: "url", message, url, ...id } },
    accepts: (result) => actionOf(result) !== null,
    async read(result) {
      const action = actionOf(result);
      if (action === "decline" || action === "cancel") return { action };
      if (action === null) throw new TypeError("This result was not accepted.");
      return { action, content: undefined as Validated<S> };
    },
  };
}

function actionOf(result: JsonObject): "accept" | "decline" | "cancel" | null {
  const action = member(result, "action");
  return action === "accept" || action === "decline" || action === "cancel" ? action : null;
}

/** The form's fields and no others, each with its default where the user left it as it was. */
function withDefaults(content: JsonObject, { fields }: Form): JsonObject {
  const filled: [string, unknown][] = [];
  for (const [name, field] of fields) {
    const value = member(content, name) ?? member(field, "default");
    if (value !== undefined) filled.push([name, value]);
  }
  return Object.fromEntries(filled);
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** Clients show it and open it: encrypted, or on the machine itself, and without a password ("Safe URL Handling"). */
function checkAddress(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isSafe =
    url !== null &&
    (url.protocol === "https:" || (url.protocol === "http:" && LOOPBACK.test(url.hostname))) &&
    url.username === "" &&
    url.password === "";
  if (!isSafe)
    throw new Fault("server_invalid", {
      detail:
        "The URL of an elicitation must be https, or http on this machine, without user name and password.",
    });
  return text;
}
