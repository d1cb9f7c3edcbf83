/**
 * Breaks guards on purpose, one at a time, in a copy of the tree, and expects tests to fail. A mutant that survives is a
 * security property without a test. `npm run mutants [-- name…]`; exit status 1 when one survives or cannot be made.
 */
import { spawn } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

interface Mutant {
  readonly name: string;
  readonly file: string;
  /** Stands exactly once in the file. */
  readonly from: string;
  readonly to: string;
  /** Test files of which at least one must fail. */
  readonly tests: readonly string[];
}

const DOOR = ["test/data/tenant-door.test.ts"];
const SQL = "sql/0001_foundation.sql";

const MUTANTS: readonly Mutant[] = [
  // The database
  {
    name: "the isolation policy is not made",
    file: SQL,
    from: "EXECUTE format('CREATE POLICY bulkhead_isolation",
    to: "PERFORM format('CREATE POLICY bulkhead_isolation",
    tests: DOOR,
  },
  {
    name: "the isolation policy is permissive",
    file: SQL,
    from: "AS RESTRICTIVE FOR ALL TO bulkhead_tenant '",
    to: "AS PERMISSIVE FOR ALL TO bulkhead_tenant '",
    tests: DOOR,
  },
  {
    name: "row-level security is not forced",
    file: SQL,
    from: "ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
    to: "ENABLE ROW LEVEL SECURITY",
    tests: ["test/data/protect-table.test.ts"],
  },
  {
    name: "a plain setting stands for the tenant instead of the claim",
    file: SQL,
    from: "  SELECT c.tenant_id FROM bulkhead.tenant_claims c\n  WHERE c.claim_hash = sha256(convert_to(current_setting('bulkhead.claim', true), 'UTF8')) AND c.expires_at > now();",
    to: "  SELECT coalesce(substring(current_setting('bulkhead.claim', true) FROM '^tnt_.*$'), (SELECT c.tenant_id FROM bulkhead.tenant_claims c\n  WHERE c.claim_hash = sha256(convert_to(current_setting('bulkhead.claim', true), 'UTF8')) AND c.expires_at > now()));",
    tests: DOOR,
  },
  {
    name: "a claim never expires",
    file: SQL,
    from: "'UTF8')) AND c.expires_at > now();",
    to: "'UTF8'));",
    tests: DOOR,
  },
  {
    name: "the stored hash of a claim is as good as the claim",
    file: SQL,
    from: "WHERE c.claim_hash = sha256(convert_to(current_setting('bulkhead.claim', true), 'UTF8')) AND",
    to: "WHERE encode(c.claim_hash, 'hex') IN (current_setting('bulkhead.claim', true), encode(sha256(convert_to(current_setting('bulkhead.claim', true), 'UTF8')), 'hex')) AND",
    tests: ["test/data/tenant-claims.test.ts"],
  },
  {
    name: "set_config is not withheld",
    file: SQL,
    from: "SELECT name IN ('set_config', ",
    to: "SELECT name IN (",
    tests: DOOR,
  },
  {
    name: "an audit trail can be erased before its tenant",
    file: SQL,
    from: "OR EXISTS (SELECT 1 FROM bulkhead.tenants t WHERE t.id = erased_tenant) THEN",
    to: "THEN",
    tests: ["test/pipeline/one-call-one-event.test.ts"],
  },
  {
    name: "a retired slug may come back",
    file: SQL,
    from: "IF EXISTS (SELECT 1 FROM bulkhead.retired_slugs r WHERE r.slug = NEW.slug) THEN",
    to: "IF false THEN",
    tests: ["test/admin/tenant-deletion.test.ts", "test/pipeline/two-instances.test.ts"],
  },
  // The tenant door
  {
    name: "connections are not cleaned between tenants",
    file: "src/data/tenant-connections.ts",
    from: "entered === null || sameTenant ? [] : [CLEAN_CONNECTION];",
    to: "entered === null || sameTenant ? [] : [];",
    tests: DOOR,
  },
  {
    name: "a role stays set for the next tenant",
    file: "src/data/tenant-connections.ts",
    from: '  "SET SESSION AUTHORIZATION DEFAULT",\n',
    to: "",
    tests: DOOR,
  },
  {
    name: "settings stay for the next tenant",
    file: "src/data/tenant-connections.ts",
    from: '  "RESET ALL",\n',
    to: "",
    tests: DOOR,
  },
  {
    name: "prepared statements stay for the next tenant",
    file: "src/data/tenant-connections.ts",
    from: '  "DEALLOCATE ALL",\n',
    to: "",
    tests: DOOR,
  },
  {
    name: "cursors stay for the next tenant",
    file: "src/data/tenant-connections.ts",
    from: '  "CLOSE ALL",\n',
    to: "",
    tests: DOOR,
  },
  {
    name: "a connection goes on listening for the next tenant",
    file: "src/data/tenant-connections.ts",
    from: '  "UNLISTEN *",\n',
    to: "",
    tests: DOOR,
  },
  {
    name: "advisory locks stay for the next tenant",
    file: "src/data/tenant-connections.ts",
    from: '  "SELECT pg_catalog.pg_advisory_unlock_all()",\n',
    to: "",
    tests: DOOR,
  },
  {
    name: "temporary tables stay for the next tenant",
    file: "src/data/tenant-connections.ts",
    from: '  "DISCARD TEMP",\n',
    to: "",
    tests: DOOR,
  },
  {
    name: "the last value of a sequence stays for the next tenant",
    file: "src/data/tenant-connections.ts",
    from: '  "DISCARD SEQUENCES",\n',
    to: "",
    tests: DOOR,
  },
  {
    name: "a connection stays entered for the tenant it served before",
    file: "src/data/tenant-connections.ts",
    from: "if (settled && sameMode(entered.mode, mode)) return;",
    to: "if (entered !== null) return;",
    tests: DOOR,
  },
  {
    name: "statements go by the simple protocol, several in one text",
    file: "src/data/run-statement.ts",
    from: 'queryMode: "extended",',
    to: "",
    tests: DOOR,
  },
  {
    name: "a statement may begin with anything",
    file: "src/data/statement-rules.ts",
    from: "!FIRST_WORDS.has(word)",
    to: "false",
    tests: DOOR,
  },
  {
    name: "read-only tools may write",
    file: "src/data/tenant-connections.ts",
    from: 'mode.readOnly ? "on" : "off"',
    to: '"off"',
    tests: DOOR,
  },
  {
    name: "the start does not look whether isolation holds",
    file: "src/data/deployment-check.ts",
    from: "if (findings.length > 0) {",
    to: "if (findings.length > 1_000) {",
    tests: ["test/data/isolation-check.test.ts"],
  },
  {
    name: "an answer of any size is taken from the database",
    file: "src/data/run-statement.ts",
    from: "if (received > MAX_ANSWER_BYTES) {",
    to: "if (received < 0) {",
    tests: DOOR,
  },
  {
    name: "a transaction in which a statement failed seems to be kept",
    file: "src/data/tenant-door.ts",
    from: 'if (command !== "COMMIT") {',
    to: 'if (command === "") {',
    tests: DOOR,
  },
  {
    name: "one tenant may hold every connection",
    file: "src/data/tenant-connections.ts",
    from: "const share = Math.max(1, Math.ceil(options.connections / 2));",
    to: "const share = options.connections;",
    tests: DOOR,
  },
  {
    name: "a context outlives its call",
    file: "src/protocol/operation-runner.ts",
    from: "controller.abort(over);",
    to: "",
    tests: ["test/pipeline/end-of-a-call.test.ts"],
  },
  // Identity
  {
    name: "the audience is not checked",
    file: "src/identity/token-claims.ts",
    from: "if (single !== expected.audience) return",
    to: "if (typeof single !== 'string') return",
    tests: ["test/identity/token-verifier.test.ts", "test/pipeline/status-codes.test.ts"],
  },
  {
    name: "the type of the token is not checked",
    file: "src/identity/token-claims.ts",
    from: 'if (type !== mediaType(issuer.tokenType)) return "typ is not that of an access token";',
    to: "",
    tests: ["test/identity/token-verifier.test.ts"],
  },
  {
    name: "the tenant claim is not compared",
    file: "src/identity/token-claims.ts",
    from: 'if (tenantOf === "issuer" && value !== issuer.tenantValue)',
    to: 'if (tenantOf === "issuer" && value === "")',
    tests: ["test/identity/token-verifier.test.ts"],
  },
  {
    name: "the operator token is not compared",
    file: "src/identity/operator-gate.ts",
    from: "return sent !== undefined && timingSafeEqual(sha256(sent), expected);",
    to: "return sent !== undefined && sha256(sent).length === expected.length;",
    tests: ["test/admin/operator-token.test.ts"],
  },
  // The pipeline
  {
    name: "a suspended tenant is served",
    file: "src/pipeline.ts",
    from: 'snapshot.status === "suspended"',
    to: "false",
    tests: ["test/pipeline/status-codes.test.ts"],
  },
  {
    name: "no intent is written before a change",
    file: "src/pipeline.ts",
    from: "await recorded(rooms.audit.commit(intent), false)",
    to: "await recorded(Promise.resolve(), false)",
    tests: ["test/pipeline/one-call-one-event.test.ts"],
  },
  {
    name: "the outcome is not waited for before the answer",
    file: "src/pipeline.ts",
    from: "await recorded(rooms.audit.commit(outcomeFacts(event)), true)",
    to: "await recorded(Promise.resolve(), true)",
    tests: ["test/pipeline/one-call-one-event.test.ts"],
  },
  {
    name: "a foreign Host or Origin is served",
    file: "src/dispatch.ts",
    from: "if (refused !== null) {",
    to: "if (refused !== null && target === '') {",
    tests: ["test/pipeline/status-codes.test.ts"],
  },
  {
    name: "all tenants share one rate",
    file: "src/limits/tenant-rate-limiter.ts",
    from: "let entry = buckets.get(tenantId);",
    to: 'tenantId = "all" as TenantId;\n    let entry = buckets.get(tenantId);',
    tests: ["test/limits/token-bucket.test.ts", "test/pipeline/limits.test.ts"],
  },
  {
    name: "the rate is not looked at before the body",
    file: "src/pipeline.ts",
    from: "if (early !== null)",
    to: "if (false)",
    tests: ["test/pipeline/limits.test.ts"],
  },
  // The catalog
  {
    name: "a tool for one tenant is there for all",
    file: "src/catalog/tenant-view.ts",
    from: "(tenants === undefined || tenants.includes(snapshot.slug))",
    to: "(tenants === undefined || tenants.length > 0)",
    tests: ["test/pipeline/official-client.test.ts"],
  },
  {
    name: "a tool set is there for every plan",
    file: "src/catalog/tenant-view.ts",
    from: "(toolSet === undefined || snapshot.toolSets.has(toolSet))",
    to: "(toolSet === undefined || toolSet !== '')",
    tests: ["test/pipeline/official-client.test.ts"],
  },
  {
    name: "a tool is called without its permission",
    file: "src/protocol/operations.ts",
    from: "if (!permits(granted, tool.definition.requires)) return lacking(tool.definition.requires);",
    to: "",
    tests: ["test/pipeline/status-codes.test.ts"],
  },
  {
    name: "lists are kept without regard to who asks",
    file: "src/catalog/tenant-view.ts",
    from: "catalog.permissions.filter((permission) => permits(granted, permission))",
    to: "catalog.permissions.filter(() => true)",
    tests: ["test/pipeline/status-codes.test.ts"],
  },
];

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const LEFT_OUT = new Set(["node_modules", ".git", "dist", ".bulkhead"]);

async function main(): Promise<void> {
  const wanted = process.argv.slice(2);
  const chosen =
    wanted.length === 0 ? MUTANTS : MUTANTS.filter(({ name }) => wanted.some((word) => name.includes(word)));
  const copy = await mkdtemp(join(tmpdir(), "bulkhead-mutants-"));
  let survivors = 0;
  try {
    await cp(ROOT, copy, { recursive: true, filter: (source) => !LEFT_OUT.has(source.slice(ROOT.length)) });
    await symlink(join(ROOT, "node_modules"), join(copy, "node_modules"));
    for (const mutant of chosen) {
      const verdict = await judge(copy, mutant);
      if (verdict !== "killed") survivors++;
      console.log(`${verdict.padEnd(9)} ${mutant.name}`);
    }
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
  console.log(`${chosen.length - survivors} of ${chosen.length} mutants killed`);
  if (survivors > 0) process.exitCode = 1;
}

type Verdict = "killed" | "survived" | "misplaced" | "broken";

async function judge(copy: string, mutant: Mutant): Promise<Verdict> {
  const file = join(copy, mutant.file);
  const original = await readFile(file, "utf8");
  if (original.split(mutant.from).length !== 2) return "misplaced";
  await writeFile(
    file,
    original.replace(mutant.from, () => mutant.to),
  );
  try {
    return await runTests(copy, mutant.tests);
  } finally {
    await writeFile(file, original);
  }
}

/** A mutant that does not even let tests begin proves nothing: it is broken, not killed. */
function runTests(copy: string, tests: readonly string[]): Promise<Verdict> {
  return new Promise((resolve, reject) => {
    const vitest = join(copy, "node_modules/vitest/vitest.mjs");
    const run = spawn(process.execPath, [vitest, "run", "--reporter", "json", ...tests], {
      cwd: copy,
      stdio: ["ignore", "pipe", "ignore"],
    });
    let output = "";
    run.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    run.once("error", reject);
    run.once("close", () => {
      const report = /\{.*\}/s.exec(output)?.[0];
      const { numPassedTests = 0, numFailedTests = 0 } = (report === undefined ? {} : JSON.parse(report)) as {
        numPassedTests?: number;
        numFailedTests?: number;
      };
      if (numFailedTests > 0) resolve("killed");
      else resolve(numPassedTests > 0 ? "survived" : "broken");
    });
  });
}

await main();
