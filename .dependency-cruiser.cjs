/**
 * The arrows of the house (docs/architecture.md). Every room of src may import the rooms of the lines above its
 * own, and itself; rooms on one line do not import each other. The rules are written as what a room may reach,
 * so that a room nobody has entered here can neither import nor be imported.
 */
const LINES = [
  ["core"],
  ["tenancy"],
  ["data", "identity", "limits", "catalog", "observe", "placement"],
  ["protocol", "admin"],
];

/** The files at the root of src that put the rooms together. They may import each other, without cycles. */
const ASSEMBLY = [
  "index",
  "server",
  "bulkhead-options",
  "instance",
  "authentication",
  "demonstration",
  "dispatch",
  "development",
  "development-access",
  "local-connection",
  "local-request",
  "local-server",
  "local-session",
  "operate",
  "pipeline",
  "previous-generation",
  "regular-tasks",
  "request-handler",
  "tasks",
  "version",
  "wire",
];

/** Packages that one room alone may import, so that replacing one of them is the business of that room. */
const OWNED_PACKAGES = [
  { room: "data", packages: ["pg", "pg-[^/]+"] },
  { room: "identity", packages: ["jose", "oidc-provider"] },
  { room: "admin", packages: ["hono", "@hono/[^/]+"] },
  { room: "cli", packages: ["commander"] },
];

const rooms = (names) => (names.length === 0 ? [] : [`^src/(${names.join("|")})/`]);
const assembly = `^src/(${ASSEMBLY.join("|")})\\.ts$`;

const arrows = LINES.flatMap((line, index) =>
  line.map((room) => {
    const reachable = [...LINES.slice(0, index).flat(), room];
    return {
      name: `arrow-${room}`,
      comment: `src/${room} may import only src/{${reachable.join(",")}}`,
      severity: "error",
      from: { path: rooms([room]) },
      to: { path: "^src/", pathNot: rooms(reachable) },
    };
  }),
);

const owned = OWNED_PACKAGES.map(({ room, packages }) => ({
  name: `package-of-${room}`,
  comment: `only src/${room} may import these packages`,
  severity: "error",
  from: { path: "^src/", pathNot: rooms([room]) },
  to: { path: `(^|/)node_modules/(@types/)?(${packages.join("|")})/` },
}));

module.exports = {
  forbidden: [
    ...arrows,
    {
      name: "arrow-assembly",
      comment: "the files at the root of src may import every room but cli",
      severity: "error",
      from: { path: assembly },
      to: { path: "^src/", pathNot: [...rooms(LINES.flat()), assembly] },
    },
    {
      name: "arrow-cli",
      comment: "src/cli may import only rooms that are named in .dependency-cruiser.cjs",
      severity: "error",
      from: { path: rooms(["cli"]) },
      to: { path: "^src/", pathNot: [...rooms([...LINES.flat(), "cli"]), assembly] },
    },
    {
      name: "unknown-room",
      comment: "a new room, or a new file at the root of src, needs its place in .dependency-cruiser.cjs",
      severity: "error",
      from: { path: "^src/", pathNot: [...rooms([...LINES.flat(), "cli"]), assembly] },
      to: {},
    },
    ...owned,
    {
      name: "src-stands-alone",
      comment: "src is what is published: it may import nothing of the repository outside src",
      severity: "error",
      from: { path: "^src/" },
      to: { pathNot: ["^src/", "(^|/)node_modules/"], dependencyTypesNot: ["core", "unknown"] },
    },
    {
      name: "src-without-dev-packages",
      comment: "users of the package do not get its devDependencies",
      severity: "error",
      from: { path: "^src/" },
      to: { dependencyTypes: ["npm-dev"] },
    },
    {
      name: "examples-as-users",
      comment: "an example imports bulkhead-mcp by name, as its reader will, never by path",
      severity: "error",
      from: { path: "^examples/" },
      to: { pathNot: "^examples/", dependencyTypes: ["local"] },
    },
    {
      name: "cycle",
      comment: "modules that import each other are one module; types count",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "unresolvable",
      comment: "no rule can see where this import leads",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: "undeclared-package",
      comment: "a package that package.json does not name may be gone after the next npm ci",
      severity: "error",
      from: {},
      to: { dependencyTypes: ["npm-no-pkg", "npm-unknown"] },
    },
  ],
  options: {
    tsConfig: { fileName: "tsconfig.json" },
    // Imports of types are arrows too.
    tsPreCompilationDeps: true,
    doNotFollow: { path: "(^|/)node_modules/" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["bulkhead-source", "import", "node", "default", "types"],
    },
  },
};
