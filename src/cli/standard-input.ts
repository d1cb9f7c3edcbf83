import { Fault } from "../core/fault.ts";

/** Longest input that is read: a token with a line break. */
const MAX_CHARACTERS = 20_000;

/** @throws Fault `usage` where there is more than a token could be. */
export async function readStandardInput(): Promise<string> {
  let text = "";
  for await (const chunk of process.stdin.setEncoding("utf8")) {
    text += chunk;
    if (text.length > MAX_CHARACTERS) throw new Fault("usage", { detail: "Standard input is too long." });
  }
  return text;
}
