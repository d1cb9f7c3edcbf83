import { definePrompt } from "bulkhead-mcp";
import { contextForm } from "./forms.ts";
import { RED_PIXEL } from "./media.ts";

export const prompts = [
  definePrompt({
    name: "test_simple_prompt",
    description: "A prompt without arguments.",
    get: () => "This is a simple prompt for testing.",
  }),
  definePrompt({
    name: "test_prompt_with_arguments",
    description: "A prompt that repeats its arguments.",
    arguments: [
      { name: "arg1", description: "First test argument", required: true, complete: () => [] },
      { name: "arg2", description: "Second test argument", required: true },
    ],
    get: ({ arg1, arg2 }) => `Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`,
  }),
  definePrompt({
    name: "test_prompt_with_embedded_resource",
    description: "A prompt that brings a resource with it.",
    arguments: [{ name: "resourceUri", description: "URI of the resource to embed", required: true }],
    get: ({ resourceUri = "" }) => [
      {
        role: "user",
        content: {
          type: "resource",
          resource: {
            uri: resourceUri,
            mimeType: "text/plain",
            text: "Embedded resource content for testing.",
          },
        },
      },
      { role: "user", content: { type: "text", text: "Please process the embedded resource above." } },
    ],
  }),
  definePrompt({
    name: "test_prompt_with_image",
    description: "A prompt that brings a picture with it.",
    get: () => [
      { role: "user", content: { type: "image", data: RED_PIXEL, mimeType: "image/png" } },
      { role: "user", content: { type: "text", text: "Please analyze the image above." } },
    ],
  }),
  definePrompt({
    name: "test_input_required_result_prompt",
    description: "A prompt that asks the user before it is there.",
    async get(_args, ctx) {
      const answer = await ctx.elicit("user_context", {
        message: "What context should the prompt use?",
        schema: contextForm,
      });
      return `Use this context: ${answer.action === "accept" ? answer.content.context : "none"}`;
    },
  }),
];
