import { Command } from "commander";
import { Fault } from "../core/fault.ts";
import { type Answer, adminPath, type ServerOptions } from "./admin-client.ts";
import { type AdminCommandContext, adminCommand, several, withServer } from "./admin-command.ts";
import { durationUpTo } from "./duration.ts";
import { type Column, printJson, printList, printRecord } from "./print.ts";

interface OfTenant extends ServerOptions {
  readonly tenant?: string;
  readonly broker?: boolean;
}

interface AddFlags extends OfTenant {
  readonly profile?: string;
  readonly jwksUri?: string;
  readonly audience?: string;
  readonly otherAudience?: readonly string[];
  /** False: none. */
  readonly tenantClaim?: string | false;
  readonly tenantValue?: string;
  readonly scopeClaim?: readonly string[];
  readonly rolesClaim?: readonly string[];
  readonly algorithm?: readonly string[];
  readonly tokenType?: string;
  readonly maxLifetime?: number;
  readonly introspectionEndpoint?: string;
  readonly introspectionClientId?: string;
}

const COLUMNS: readonly Column[] = [
  ["id", (row) => row.id],
  ["issuer", (row) => row.issuer],
  ["profile", (row) => (row.broker === true ? "broker" : row.profile)],
  ["tenant claim", (row) => row.tenantClaim],
  ["value", (row) => row.tenantValue],
];

/** `bulkhead issuers`: the identity providers whose tokens count, of a tenant or (brokers) of the deployment. */
export function issuersCommand(context: AdminCommandContext): Command {
  const issuers = new Command("issuers").description("Identity providers of a tenant, and brokers.");

  issuers.addCommand(
    adminCommand("list", "List a tenant's issuers; without --tenant, the brokers.")
      .option("--tenant <tenant>", "id or slug")
      .action(
        withServer<OfTenant>(context, async (client, options) => {
          const rows = await client.list(collectionOf(options.tenant));
          printList(rows, COLUMNS, options.json === true);
        }),
      ),
  );

  issuers.addCommand(
    withOneOf(
      ["tenant-claim", "no-tenant-claim"],
      adminCommand("add", "Register an issuer for a tenant, map a broker to it, or declare a broker.")
        .argument("<issuer>", "the iss of its tokens, exactly")
        .option("--tenant <tenant>", "id or slug")
        .option("--broker", "declare an issuer that serves several tenants (instead of --tenant)")
        .option("--profile <name>", "auth0, okta, entra, workos, keycloak, cognito or generic")
        .option("--jwks-uri <url>", "its keys; found through its metadata where absent")
        .option("--audience <audience>", "audience to expect instead of the tenant's resource identifier")
        .option("--other-audience <audience>", "audience that may stand beside it; may be repeated", several)
        .option("--tenant-claim <name>", "claim that names the tenant")
        .option("--no-tenant-claim", "none does: the issuer serves this tenant alone")
        .option("--tenant-value <value>", "its value for this tenant")
        .option("--scope-claim <name>", "claim that carries permissions; may be repeated", several)
        .option("--roles-claim <name>", "claim that names roles; repeated: the path into an object", several)
        .option("--algorithm <name>", "signature algorithm to allow; may be repeated", several)
        .option("--token-type <type>", "typ of its tokens' header: at+jwt, JWT or absent")
        .option("--max-lifetime <duration>", "longest life of its tokens, at most 24h", durationUpTo("24h"))
        .option("--introspection-endpoint <url>", "where opaque tokens are introspected")
        .option(
          "--introspection-client-id <id>",
          "client for it; its secret is read from the environment, BULKHEAD_INTROSPECTION_SECRET",
        )
        .action(
          withServer<AddFlags>(context, async (client, options, [issuer = ""]) => {
            const added = await client.call("POST", namedCollection(options), {
              issuer,
              profile: options.profile,
              jwksUri: options.jwksUri,
              audience: options.audience,
              otherAudiences: options.otherAudience,
              tenantClaim: options.tenantClaim === false ? null : options.tenantClaim,
              tenantValue: options.tenantValue,
              scopeClaims: options.scopeClaim,
              rolesClaim: options.rolesClaim,
              algorithms: options.algorithm,
              tokenType: options.tokenType,
              maxLifetimeSeconds: options.maxLifetime,
              introspection: introspectionOf(options, context),
            });
            show(added, options.json === true);
          }),
        ),
    ),
  );

  issuers.addCommand(
    adminCommand("remove", "Remove an issuer of a tenant, its mapping to a broker, or a broker.")
      .argument("<id>", "as `issuers list` shows it")
      .option("--tenant <tenant>", "id or slug")
      .option("--broker", "remove a broker, and every tenant's mapping to it (instead of --tenant)")
      .action(
        withServer<OfTenant>(context, async (client, options, [id = ""]) => {
          const removed = await client.call("DELETE", namedCollection(options) + adminPath`/${id}`);
          if (options.json === true) printJson(removed);
          else printRecord([["removed", removed.issuer ?? id]]);
        }),
      ),
  );
  return issuers;
}

/** Refuses these options together. They set the same value, so that otherwise the later one would silently hold. */
function withOneOf(names: readonly string[], command: Command): Command {
  const given = new Set<string>();
  for (const name of names) {
    command.on(`option:${name}`, () => {
      given.add(name);
      if (given.size > 1)
        throw new Fault("usage", { detail: `Give one of ${names.map((one) => `--${one}`).join(" and ")}.` });
    });
  }
  return command;
}

function collectionOf(tenant: string | undefined): string {
  return tenant === undefined ? "/brokers" : adminPath`/tenants/${tenant}/issuers`;
}

/** Of what is changed, which has to be said: what befalls a broker befalls every tenant that is mapped to it. */
function namedCollection({ tenant, broker }: OfTenant): string {
  if ((broker === true) === (tenant !== undefined))
    throw new Fault("usage", { detail: "Give either --tenant or --broker." });
  return collectionOf(tenant);
}

function introspectionOf(options: AddFlags, { env }: AdminCommandContext): object | undefined {
  const { introspectionEndpoint: endpoint, introspectionClientId: clientId } = options;
  if (endpoint === undefined && clientId === undefined) return undefined;
  const clientSecret = env.BULKHEAD_INTROSPECTION_SECRET;
  if (endpoint === undefined || clientId === undefined || clientSecret === undefined || clientSecret === "") {
    throw new Fault("usage", {
      detail:
        "Introspection takes --introspection-endpoint, --introspection-client-id and, in the environment, BULKHEAD_INTROSPECTION_SECRET.",
    });
  }
  return { endpoint, clientId, clientSecret };
}

function show(issuer: Answer, json: boolean): void {
  if (json) {
    printJson(issuer);
    return;
  }
  const introspection = (issuer.introspection ?? {}) as Answer;
  printRecord([
    ["id", issuer.id],
    ["issuer", issuer.issuer],
    ["profile", issuer.broker === true ? "broker" : issuer.profile],
    ["keys", issuer.jwksUri],
    ["audience", issuer.audience],
    ["tenant claim", issuer.tenantClaim],
    ["tenant value", issuer.tenantValue],
    ["algorithms", issuer.algorithms],
    ["token type", issuer.tokenType],
    ["introspection", introspection.endpoint],
    ["as client", introspection.clientId],
  ]);
}
