import { describe, expect, test } from "vitest";
import { isRefusal } from "../../src/core/refusal.ts";
import { honouredFilter, readSubscriptionFilter } from "../../src/protocol/subscription-filter.ts";

const EVERYTHING = new Set(["tools", "prompts", "resources"] as const);
const ALL_ASKED = { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true };

describe("of a filter", () => {
  test.each([
    ["all three lists", ALL_ASKED, ALL_ASKED],
    ["one list", { promptsListChanged: true }, { promptsListChanged: true }],
    ["no list", {}, {}],
    ["false, as if it were not there", { toolsListChanged: false }, {}],
    [
      "resources by URI, each once",
      { resourceSubscriptions: ["a://b", "a://b"] },
      { resourceSubscriptions: ["a://b"] },
    ],
    ["no resource, but asked for", { resourceSubscriptions: [] }, { resourceSubscriptions: [] }],
    ["members unknown here", { taskIds: ["x"], toolsListChanged: true }, { toolsListChanged: true }],
    ["a member of its prototype", JSON.parse('{"__proto__": {"toolsListChanged": true}}'), {}],
  ])("%s", (_what, notifications, honoured) => {
    const filter = readSubscriptionFilter({ notifications }, EVERYTHING);
    expect(isRefusal(filter) ? filter : honouredFilter(filter)).toEqual(honoured);
  });

  test("only what the server has is honoured", () => {
    const notifications = { ...ALL_ASKED, resourceSubscriptions: ["a://b"] };
    expect(readSubscriptionFilter({ notifications }, new Set(["prompts"] as const))).toEqual({
      lists: ["prompts"],
      uris: null,
    });
  });

  test.each([
    [{}, "params.notifications must be an object."],
    [{ notifications: null }, "params.notifications must be an object."],
    [{ notifications: ["toolsListChanged"] }, "params.notifications must be an object."],
    [
      { notifications: { toolsListChanged: "true" } },
      "params.notifications.toolsListChanged must be true or false.",
    ],
    [
      { notifications: { resourcesListChanged: null } },
      "params.notifications.resourcesListChanged must be true or false.",
    ],
    [
      { notifications: { resourceSubscriptions: "a://b" } },
      "params.notifications.resourceSubscriptions must be an array of texts.",
    ],
    [
      { notifications: { resourceSubscriptions: ["a://b", 1] } },
      "params.notifications.resourceSubscriptions must be an array of texts.",
    ],
  ])("%j is refused", (params, detail) => {
    expect(readSubscriptionFilter(params, EVERYTHING)).toEqual({
      kind: "refusal",
      code: "params_invalid",
      detail,
    });
  });

  test("that names 1,000 resources is read, and one more or longer names are refused", () => {
    const read = (resourceSubscriptions: string[]) =>
      readSubscriptionFilter({ notifications: { resourceSubscriptions } }, EVERYTHING);
    const many = Array.from({ length: 1_000 }, (_unused, i) => `a://${i}`);
    expect(read(many)).toEqual({ lists: [], uris: new Set(many) });
    const refusal = {
      kind: "refusal",
      code: "params_invalid",
      detail: "params.notifications.resourceSubscriptions may have 1000 URIs, of 131072 characters together.",
    };
    expect(read([...many, "a://b"])).toEqual(refusal);
    const long = "x".repeat(65_536);
    expect(isRefusal(read([long, long]))).toBe(false);
    expect(read([long, long, "y"])).toEqual(refusal);
  });
});
