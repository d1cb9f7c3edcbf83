import { createHash } from "node:crypto";
import { canonicalJson } from "../core/audit-row.ts";
import type { Clock } from "../core/clock.ts";
import { after, type Eventually } from "../core/eventually.ts";
import { openText, sealText } from "../core/sealed-box.ts";
import { type Principal, principalKey } from "../tenancy/principal.ts";
import { isObject, member } from "./json-rpc.ts";
import type { McpRequest } from "./mcp-request.ts";
import type { ReplayState } from "./replay.ts";

/** A key under which states are sealed, known to all instances. */
export interface StateKey {
  readonly id: string;
  readonly key: Uint8Array;
}

/** The keys of this deployment, in memory. */
export interface StateKeys {
  /** With which is sealed now. */
  sealing(): StateKey;
  /** At once where it is known, which is nearly always; null: there is none of that id. */
  find(id: string): Eventually<StateKey | null>;
}

/** The request that a state belongs to, and who sent it. */
export interface StateOwner {
  readonly request: Pick<McpRequest, "method" | "name" | "params">;
  readonly principal: Principal;
}

/** Makes of a state what a client may carry, and can neither read nor change nor use for anything else. */
export interface RequestStates {
  seal(state: ReplayState, owner: StateOwner): string;
  /** Null for a text that was not given to this caller for this very request, or too long ago. */
  open(text: string, owner: StateOwner): Eventually<ReplayState | null>;
}

/** How long a state is good for, from the answer that brought it. */
export const STATE_LIFE_MS = 15 * 60_000;

/** Form 1: `1.{key id}.{sealed, base64url}`. */
const FORM = /^1\.([A-Za-z0-9_-]{1,32})\.([A-Za-z0-9_-]+)$/;

export function createRequestStates({
  keys,
  clock,
}: {
  readonly keys: StateKeys;
  readonly clock: Pick<Clock, "now">;
}): RequestStates {
  return {
    seal(state, owner) {
      const { id, key } = keys.sealing();
      const text = JSON.stringify({ until: clock.now() + STATE_LIFE_MS, state });
      return `1.${id}.${sealText(text, { key, context: contextOf(owner) }).toString("base64url")}`;
    },

    open(text, owner) {
      const [, id, content] = FORM.exec(text) ?? [];
      if (id === undefined || content === undefined) return null;
      const sealed = Buffer.from(content, "base64url");
      // The last character has bits to spare: one text alone is the state, and no other that decodes to the same.
      if (sealed.toString("base64url") !== content) return null;
      return after(keys.find(id), (found) => {
        if (found === null) return null;
        const opened = openText(sealed, { key: found.key, context: contextOf(owner) });
        return opened === null ? null : readState(opened, clock.now());
      });
    },
  };
}

/** What was sealed here, perhaps by another version of this code. */
function readState(text: string, now: number): ReplayState | null {
  const payload: unknown = JSON.parse(text);
  if (!isObject(payload)) return null;
  const { until, state } = payload;
  if (typeof until !== "number" || now >= until || !isObject(state)) return null;
  const { answers, asked, steps, parked } = state;
  if (!isTexts(answers) || !isTexts(asked) || !isTexts(steps)) return null;
  return { answers, asked, steps, ...(typeof parked === "string" ? { parked } : {}) };
}

function isTexts(value: unknown): value is Readonly<Record<string, string>> {
  return isObject(value) && Object.values(value).every((each) => typeof each === "string");
}

/**
 * Whose a state is, and for which request: "the authenticated principal" and "an identifier for the originating request,
 * e.g. the method name and a digest of its salient parameters" (basic, patterns, MRTR). As JSON, so that no two share one.
 */
function contextOf({ request, principal }: StateOwner): string {
  const { method, name, params } = request;
  const args = digestOf(member(params, "arguments") ?? {});
  return JSON.stringify(["request state", principal.tenantId, principalKey(principal), method, name, args]);
}

/** A digest of JSON that does not depend on the order of members. Messages are nested no deeper than the stack is. */
function digestOf(value: unknown): string {
  return createHash("sha256").update(canonicalJson(value)).digest("base64url");
}
