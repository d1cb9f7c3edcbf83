import { setTimeout as delay } from "node:timers/promises";
import { defineTool } from "bulkhead-mcp";

const BETWEEN_MS = 50;

/** What a handler may tell its client while it works. */
export const tellingTools = [
  defineTool({
    name: "test_tool_with_logging",
    description: "Sends three messages to the client's log while it works.",
    async run(_input, { message, signal }) {
      message("info", "Tool execution started");
      await delay(BETWEEN_MS, undefined, { signal });
      message("info", "Tool processing data");
      await delay(BETWEEN_MS, undefined, { signal });
      message("info", "Tool execution completed");
      return "Tool with logging executed successfully.";
    },
  }),
  defineTool({
    name: "test_logging_tool",
    description:
      "Sends a message to the client's log, which goes out only where the request asks for messages.",
    run(_input, { message }) {
      message("info", "A message for those who asked for it");
      return "Logged.";
    },
  }),
  defineTool({
    name: "test_tool_with_progress",
    description: "Reports its progress, where the request has a progress token.",
    async run(_input, { progress, signal }) {
      progress({ progress: 0, total: 100 });
      await delay(BETWEEN_MS, undefined, { signal });
      progress({ progress: 50, total: 100 });
      await delay(BETWEEN_MS, undefined, { signal });
      progress({ progress: 100, total: 100 });
      return "Tool with progress executed successfully.";
    },
  }),
  defineTool({
    name: "test_streaming_elicitation",
    description: "Answers at once: a stream of this revision carries no requests to the client.",
    run: () => "Nothing was asked.",
  }),
  defineTool({
    name: "test_reconnection",
    description: "Ends its stream while it works; the client comes back for the result.",
    async run(_input, { detach, signal }) {
      detach({ retryMs: 50 });
      await delay(2 * BETWEEN_MS, undefined, { signal });
      return "Reconnection test completed successfully.";
    },
  }),
  defineTool({
    name: "test_trigger_tool_change",
    description: "Tells the tenant's listeners that its tools have changed.",
    run(_input, { changed }) {
      changed("tools");
      return "The tools have changed.";
    },
  }),
  defineTool({
    name: "test_trigger_prompt_change",
    description: "Tells the tenant's listeners that its prompts have changed.",
    run(_input, { changed }) {
      changed("prompts");
      return "The prompts have changed.";
    },
  }),
];
