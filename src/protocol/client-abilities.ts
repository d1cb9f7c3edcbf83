import type { ClientAbility } from "../tenancy/client.ts";
import { isObject, type JsonObject, member } from "./json-rpc.ts";

/** The extension of tasks, as capabilities name it. */
export const TASKS_EXTENSION = "io.modelcontextprotocol/tasks";

/** What a client's capabilities allow it to be asked (MCP, `ClientCapabilities`). */
export function abilitiesOf(capabilities: JsonObject): ReadonlySet<ClientAbility> {
  const abilities = new Set<ClientAbility>();
  const elicitation = member(capabilities, "elicitation");
  if (isObject(elicitation)) {
    const [form, url] = [member(elicitation, "form"), member(elicitation, "url")];
    // "An empty object is equivalent to declaring support for form mode only".
    if (form !== undefined || url === undefined) abilities.add("elicitation.form");
    if (url !== undefined) abilities.add("elicitation.url");
  }
  const sampling = member(capabilities, "sampling");
  if (isObject(sampling)) {
    abilities.add("sampling");
    if (member(sampling, "tools") !== undefined) abilities.add("sampling.tools");
    if (member(sampling, "context") !== undefined) abilities.add("sampling.context");
  }
  if (member(capabilities, "roots") !== undefined) abilities.add("roots");
  const extensions = member(capabilities, "extensions");
  if (isObject(extensions) && isObject(member(extensions, TASKS_EXTENSION))) abilities.add("tasks");
  return abilities;
}

/** A lacking ability in the form of the capabilities that would declare it. */
export function missingAbility(ability: ClientAbility): JsonObject {
  switch (ability) {
    case "elicitation.form":
      return { elicitation: { form: {} } };
    case "elicitation.url":
      return { elicitation: { url: {} } };
    case "sampling":
      return { sampling: {} };
    case "sampling.tools":
      return { sampling: { tools: {} } };
    case "sampling.context":
      return { sampling: { context: {} } };
    case "roots":
      return { roots: {} };
    case "tasks":
      return { extensions: { [TASKS_EXTENSION]: {} } };
  }
}
