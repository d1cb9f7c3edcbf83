import type { JsonObject } from "./json-rpc.ts";

/** A client as it described itself, of this request or of its session. */
export interface ClientDescription {
  readonly name: string | null;
  readonly version: string | null;
  readonly capabilities: JsonObject;
}
