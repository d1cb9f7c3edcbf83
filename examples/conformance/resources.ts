import { defineResource } from "bulkhead-mcp";
import { RED_PIXEL } from "./media.ts";

export const resources = [
  defineResource({
    uri: "test://static-text",
    name: "Static text",
    description: "A text that is always the same.",
    mimeType: "text/plain",
    read: () => "This is the content of the static text resource.",
  }),
  defineResource({
    uri: "test://static-binary",
    name: "Static picture",
    description: "Bytes that are always the same.",
    mimeType: "image/png",
    read: () => Buffer.from(RED_PIXEL, "base64"),
  }),
  defineResource({
    uri: "test://template/{id}/data",
    name: "Data by id",
    description: "A resource for every id.",
    mimeType: "application/json",
    read: ({ id }) => ({ id, templateTest: true, data: `Data for ID: ${id}` }),
  }),
  defineResource({
    uri: "test://watched-resource",
    name: "Watched resource",
    description: "A resource to subscribe to.",
    mimeType: "text/plain",
    read: () => "Watched resource content.",
  }),
];
