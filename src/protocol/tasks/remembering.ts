import type { OpenConversation } from "../conversation.ts";
import { formDigest, type ReplayState } from "../replay.ts";

/** A conversation of which is remembered what it came to, so that it can go on elsewhere. */
export function remembering(open: OpenConversation): {
  readonly open: OpenConversation;
  readonly memory: () => ReplayState;
} {
  const answers = new Map<string, string>();
  const asked = new Map<string, string>();
  const steps = new Map<string, string>();
  return {
    open(run) {
      const conversation = open(run);
      return {
        async ask(key, request, accept) {
          const answer = await conversation.ask(key, request, accept);
          answers.set(key, JSON.stringify(answer));
          const form = formDigest(request, JSON.stringify(request));
          if (form !== null) asked.set(key, form);
          return answer;
        },
        async step(key, perform) {
          const value = await conversation.step(key, perform);
          steps.set(key, value === undefined ? "" : JSON.stringify(value));
          return value;
        },
      };
    },
    memory: () => ({
      answers: Object.fromEntries(answers),
      asked: Object.fromEntries(asked),
      steps: Object.fromEntries(steps),
    }),
  };
}
