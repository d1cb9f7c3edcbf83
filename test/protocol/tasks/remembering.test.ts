import { expect, test } from "vitest";
import type { InputRequest, RunControl } from "../../../src/protocol/conversation.ts";
import { NOTHING_YET, ReplayConversation, type ReplayState } from "../../../src/protocol/replay.ts";
import { remembering } from "../../../src/protocol/tasks/remembering.ts";

const run: RunControl = { suspend: () => {}, waiting: (answer) => answer };
const form = (message: string): InputRequest => ({
  method: "elicitation/create",
  params: { mode: "form", message },
});
const yes = { action: "accept" };

/** What a run is asked that begins from a state: its answer, or else that the client is asked anew. */
async function asked(state: ReplayState, request: InputRequest): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const suspend = (requests: unknown): void => resolve({ asks: requests });
    new ReplayConversation({ state, responses: {}, suspend })
      .ask("pay", request, () => true)
      .then(resolve, reject);
  });
}

test("what was answered before there is a task counts in its runs, for the form that was shown and no other", async () => {
  const { open, memory } = remembering(
    () => new ReplayConversation({ state: NOTHING_YET, responses: { pay: yes }, suspend: () => {} }),
  );
  await open(run).ask("pay", form("Pay 1 euro?"), () => true);
  expect(await asked(memory(), form("Pay 1 euro?"))).toEqual(yes);
  const another = form("Pay 1000 euros?");
  expect(await asked(memory(), another)).toEqual({ asks: { pay: another } });
});
