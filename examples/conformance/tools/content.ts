import { CallerError, defineTool } from "bulkhead-mcp";
import { RED_PIXEL, SILENCE } from "../media.ts";

/** What a tool may give back, one tool for each. */
export const contentTools = [
  defineTool({
    name: "test_simple_text",
    description: "Gives back text: a handler's string is all it takes.",
    run: () => "This is a simple text response for testing.",
  }),
  defineTool({
    name: "test_image_content",
    description: "Gives back a picture.",
    run: () => ({ content: [{ type: "image", data: RED_PIXEL, mimeType: "image/png" }] }),
  }),
  defineTool({
    name: "test_audio_content",
    description: "Gives back a sound.",
    run: () => ({ content: [{ type: "audio", data: SILENCE, mimeType: "audio/wav" }] }),
  }),
  defineTool({
    name: "test_embedded_resource",
    description: "Gives back a resource with its contents.",
    run: () => ({
      content: [
        {
          type: "resource",
          resource: {
            uri: "test://embedded-resource",
            mimeType: "text/plain",
            text: "This is an embedded resource content.",
          },
        },
      ],
    }),
  }),
  defineTool({
    name: "test_multiple_content_types",
    description: "Gives back text, a picture and a resource at once.",
    run: () => ({
      content: [
        { type: "text", text: "Multiple content types test:" },
        { type: "image", data: RED_PIXEL, mimeType: "image/png" },
        {
          type: "resource",
          resource: {
            uri: "test://mixed-content-resource",
            mimeType: "application/json",
            text: JSON.stringify({ test: "data", value: 123 }),
          },
        },
      ],
    }),
  }),
  defineTool({
    name: "test_error_handling",
    description: "Fails in a way that the caller is told of.",
    run() {
      throw new CallerError("This tool intentionally returns an error for testing");
    },
  }),
];
