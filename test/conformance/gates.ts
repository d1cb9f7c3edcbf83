import type { SuiteVersion } from "./installed-suites.ts";

/** One official gate, and what a server that conforms gets from it. */
export interface Gate {
  readonly title: string;
  readonly suite: { readonly version: SuiteVersion; readonly args: readonly string[] };
  /**
   * How many checks pass, scenario by scenario, scored or not. Pinned, since a suite calls a scenario passed that
   * found nothing to check. Lists are answered with JSON, for which server-sse-multiple-streams has one check less.
   */
  readonly passing: Readonly<Record<string, number>>;
  readonly total: number;
}

const WITH_BOTH_WIRES = {
  "completion-complete": 2,
  "dns-rebinding-protection": 2,
  "json-schema-2020-12": 8,
  "prompts-get-embedded-resource": 2,
  "prompts-get-simple": 2,
  "prompts-get-with-args": 2,
  "prompts-get-with-image": 2,
  "prompts-list": 2,
  "resources-list": 2,
  "resources-read-binary": 2,
  "resources-read-text": 2,
  "resources-templates-read": 2,
  "server-sse-multiple-streams": 1,
  "tools-call-audio": 2,
  "tools-call-embedded-resource": 2,
  "tools-call-error": 2,
  "tools-call-image": 2,
  "tools-call-mixed-content": 2,
  "tools-call-simple-text": 2,
  "tools-call-with-progress": 2,
};

const EARLIER_SUITE: Gate = {
  title: "0.1.16, all scenarios",
  total: 46,
  suite: { version: "0.1", args: ["--suite", "all"] },
  passing: {
    "completion-complete": 1,
    "dns-rebinding-protection": 2,
    "elicitation-sep1034-defaults": 5,
    "elicitation-sep1330-enums": 5,
    "json-schema-2020-12": 4,
    "logging-set-level": 1,
    ping: 1,
    "prompts-get-embedded-resource": 1,
    "prompts-get-simple": 1,
    "prompts-get-with-args": 1,
    "prompts-get-with-image": 1,
    "prompts-list": 1,
    "resources-list": 1,
    "resources-read-binary": 1,
    "resources-read-text": 1,
    "resources-subscribe": 1,
    "resources-templates-read": 1,
    "resources-unsubscribe": 1,
    "server-initialize": 1,
    "server-sse-multiple-streams": 1,
    "server-sse-polling": 3,
    "tools-call-audio": 1,
    "tools-call-elicitation": 1,
    "tools-call-embedded-resource": 1,
    "tools-call-error": 1,
    "tools-call-image": 1,
    "tools-call-mixed-content": 1,
    "tools-call-sampling": 1,
    "tools-call-simple-text": 1,
    "tools-call-with-logging": 1,
    "tools-call-with-progress": 1,
    "tools-list": 1,
  },
};

const PREVIOUS_REVISION: Gate = {
  title: "0.2.0-alpha.12, requirements of 2025-11-25",
  total: 83,
  suite: { version: "0.2", args: ["--requirements", "2025-11-25"] },
  passing: {
    ...WITH_BOTH_WIRES,
    "elicitation-sep1034-defaults": 6,
    "elicitation-sep1330-enums": 6,
    "logging-set-level": 2,
    ping: 2,
    "resources-subscribe": 2,
    "resources-unsubscribe": 2,
    "server-initialize": 3,
    "server-session-lifecycle": 3,
    "server-sse-polling": 3,
    "tools-call-elicitation": 2,
    "tools-call-sampling": 2,
    "tools-call-with-logging": 2,
    "tools-list": 3,
  },
};

const CURRENT_REVISION: Gate = {
  title: "0.2.0-alpha.12, requirements of 2026-07-28",
  total: 196,
  suite: { version: "0.2", args: ["--requirements", "2026-07-28"] },
  passing: {
    ...WITH_BOTH_WIRES,
    caching: 8,
    "http-custom-header-server-validation": 10,
    "http-header-validation": 14,
    "input-required-result-basic-elicitation": 3,
    "input-required-result-basic-list-roots": 3,
    "input-required-result-basic-sampling": 3,
    "input-required-result-capability-check": 2,
    "input-required-result-ignore-extra-params": 2,
    "input-required-result-missing-input-response": 2,
    "input-required-result-multi-round": 4,
    "input-required-result-multiple-input-requests": 3,
    "input-required-result-non-tool-request": 3,
    "input-required-result-request-state": 3,
    "input-required-result-result-type": 2,
    "input-required-result-tampered-state": 2,
    "input-required-result-unsupported-methods": 2,
    "input-required-result-validate-input": 3,
    "sep-2164-resource-not-found": 4,
    "server-stateless": 30,
    "tasks-capability-negotiation": 5,
    "tasks-dispatch-and-envelope": 9,
    "tasks-lifecycle": 9,
    "tasks-mrtr-composition": 2,
    "tasks-mrtr-input": 4,
    "tasks-request-headers": 5,
    "tasks-request-state-removal": 3,
    "tasks-required-task-error": 3,
    // The suite's own stub, which checks nothing.
    "tasks-status-notifications": 0,
    "tasks-wire-fields": 4,
    "tools-list": 4,
  },
};

export const GATES = [EARLIER_SUITE, PREVIOUS_REVISION, CURRENT_REVISION] as const;
