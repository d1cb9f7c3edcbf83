import type { Mutant } from "./mutant.ts";

/** Guards of what is put on record. */
export const observing: readonly Mutant[] = [
  {
    name: "an audit row is sealed without the one before",
    file: "src/core/audit-row.ts",
    from: "const prevHash = head.hash;",
    to: "const prevHash = CHAIN_START.hash;",
    tests: ["test/core/audit-row.test.ts"],
  },
  {
    name: "a member that was added to an audit row escapes its hash",
    file: "src/core/audit-row.ts",
    from: "return written === Object.keys(of).length ? `{${text}}` : canonicalJson(of);",
    to: "return `{${text}}`;",
    tests: ["test/core/audit-row.test.ts"],
  },
  {
    name: "details beside the access of an audit row escape its hash",
    file: "src/core/audit-row.ts",
    from: "Object.keys(details).length === 1",
    to: "true",
    tests: ["test/core/audit-row.test.ts"],
  },
  {
    name: "a free text ends its JSON string in a log line or an audit row",
    file: "src/core/json-string.ts",
    from: "UNUSUAL.test(text)",
    to: "false",
    tests: ["test/core/audit-row.test.ts", "test/observe/log-lines.test.ts"],
  },
  {
    name: "after a failed commit a chain begins anew",
    file: "src/observe/audit-trail.ts",
    from: "      allHeadsKnown = false;\n",
    to: "",
    tests: ["test/observe/audit-trail.test.ts"],
  },
  {
    name: "a batch of audit rows overwrites another that is under way",
    file: "src/data/audit-batch-text.ts",
    from: "takes memory of its own.\n      spare = Buffer.alloc(0);",
    to: "takes memory of its own.\n",
    tests: ["test/data/audit-batch-text.test.ts"],
  },
  {
    name: "the last log lines of a flush are not written",
    file: "src/observe/log-lines.ts",
    from: "if (!more || gathered.length >= MAX_GATHERED)",
    to: "if (gathered.length >= MAX_GATHERED)",
    tests: ["test/observe/log-lines.test.ts"],
  },
  {
    name: "any number of tenants gets labels of its own",
    file: "src/observe/metrics.ts",
    from: 'if (labelled.size >= MAX_TENANT_LABELS) return "other";',
    to: "",
    tests: ["test/observe/operation-counts.test.ts"],
  },
  {
    name: "every row asks a store that does not answer",
    file: "src/observe/audit-trail.ts",
    from: "if (unreachable) schedule(RETRY_MS);\n      else ",
    to: "",
    tests: ["test/observe/audit-trail.test.ts"],
  },
  {
    name: "a log that nobody reads is held in memory",
    file: "src/observe/log-lines.ts",
    from: "const isFull = (destination.writableLength ?? 0) > MAX_WAITING;",
    to: "const isFull = false;",
    tests: ["test/observe/log-lines.test.ts"],
  },
];
