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
    ["resources by URI, honoured never", { resourceSubscriptions: ["a://b"] }, {}],
    ["members unknown here", { taskIds: ["x"], toolsListChanged: true }, { toolsListChanged: true }],
    ["a member of its prototype", JSON.parse('{"__proto__": {"toolsListChanged": true}}'), {}],
  ])("%s", (_what, notifications, honoured) => {
    const lists = readSubscriptionFilter({ notifications }, EVERYTHING);
    expect(isRefusal(lists) ? lists : honouredFilter(lists)).toEqual(honoured);
  });

  test("only what the server has is honoured", () => {
    expect(readSubscriptionFilter({ notifications: ALL_ASKED }, new Set(["prompts"] as const))).toEqual([
      "prompts",
    ]);
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
});
