import type { Completer } from "../catalog/define.ts";
import { RefusedByServer } from "../catalog/refused-by-server.ts";
import type { TenantView } from "../catalog/tenant-view.ts";
import { type Refusal, refuse } from "../core/refusal.ts";
import type { TenantContext } from "../tenancy/tenant-context.ts";
import { isObject, type JsonObject, member } from "./json-rpc.ts";
import { complete, type Performed } from "./performed.ts";

/** Most values of one answer ("Completion"). */
const MAX_VALUES = 100;
/** Longest value that is completed, and longest of the other arguments. */
const MAX_VALUE = 4_096;

/** An argument that is to be completed. */
export interface FoundCompletion {
  /** The permission that the prompt or the resource needs: who may not use it may not learn its values either. */
  readonly requires: string | undefined;
  readonly target: string;
  readonly readOnly: true;
  readonly tool: null;
  readonly answer: Performed | null;
  perform(ctx: TenantContext): Promise<Performed | Refusal>;
}

/** Finds what `completion/complete` is to complete (2026-07-28, server, utilities, "Completion"). */
export function completeArgument(params: JsonObject, view: TenantView): FoundCompletion | Refusal {
  const ref = member(params, "ref");
  const argument = member(params, "argument");
  const name = isObject(argument) ? member(argument, "name") : undefined;
  const value = isObject(argument) ? member(argument, "value") : undefined;
  if (!isObject(ref) || typeof name !== "string" || typeof value !== "string" || value.length > MAX_VALUE)
    return refuse("params_invalid", {
      detail: "params.ref and params.argument {name, value} must be there.",
    });
  const others = readOthers(params);
  if (others === null)
    return refuse("params_invalid", { detail: "params.context.arguments must be an object of texts." });
  const found = find(ref, name, view);
  if ("kind" in found) return found;
  const { completer } = found;
  return {
    requires: found.requires,
    target: found.target,
    readOnly: true,
    tool: null,
    answer: completer === null ? toResult([]) : null,
    async perform(ctx) {
      try {
        return toResult(completer === null ? [] : await completer(value, ctx, others));
      } catch (error) {
        if (error instanceof RefusedByServer) return error.refusal;
        throw error;
      }
    },
  };
}

function find(
  ref: JsonObject,
  argument: string,
  view: TenantView,
):
  | { readonly completer: Completer | null; readonly requires: string | undefined; readonly target: string }
  | Refusal {
  switch (member(ref, "type")) {
    case "ref/prompt": {
      const name = member(ref, "name");
      const prompt = typeof name === "string" ? view.prompt(name) : null;
      if (prompt === null) return refuse("prompt_unknown");
      const declared = prompt.definition.arguments?.find((each) => each.name === argument);
      if (declared === undefined)
        return refuse("params_invalid", { detail: "The prompt has no such argument." });
      return {
        completer: declared.complete ?? null,
        requires: prompt.definition.requires,
        target: prompt.definition.name,
      };
    }
    case "ref/resource": {
      const uri = member(ref, "uri");
      const resource = typeof uri === "string" ? view.registered(uri) : null;
      if (resource === null)
        return refuse("resource_unknown", typeof uri === "string" ? { data: { uri } } : {});
      const { complete: completers } = resource.definition;
      const own = completers !== undefined && Object.hasOwn(completers, argument);
      return {
        completer: own ? (completers[argument] ?? null) : null,
        requires: resource.definition.requires,
        target: resource.definition.uri,
      };
    }
    default:
      return refuse("params_invalid", { detail: "params.ref.type must be ref/prompt or ref/resource." });
  }
}

function readOthers(params: JsonObject): Readonly<Record<string, string>> | null {
  const context = member(params, "context");
  if (context === undefined) return {};
  const given = isObject(context) ? member(context, "arguments") : undefined;
  if (given === undefined) return isObject(context) ? {} : null;
  if (!isObject(given)) return null;
  const others: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(given)) {
    if (typeof value !== "string" || value.length > MAX_VALUE) return null;
    others[name] = value;
  }
  return others;
}

function toResult(values: readonly string[]): Performed {
  const shown = values.slice(0, MAX_VALUES).map(String);
  return complete({
    completion: { values: shown, total: values.length, hasMore: values.length > shown.length },
  });
}
