import { Command, Option } from "commander";
import { Fault } from "../core/fault.ts";
import { looksLikeApiKey, parseApiKey } from "../identity/api-key.ts";
import { adminPath, notAnAdminApi, type ServerOptions } from "./admin-client.ts";
import { type AdminCommandContext, adminCommand, several, withServer } from "./admin-command.ts";
import { durationUpTo } from "./duration.ts";
import { print, printJson, printRecord } from "./print.ts";
import { readStandardInput } from "./standard-input.ts";
import { warnOfUnregisteredIssuer } from "./unregistered-issuer.ts";

interface IssueFlags extends ServerOptions {
  readonly tenant: string;
  readonly user?: string;
  readonly subject?: string;
  readonly scope?: readonly string[];
  readonly expiresIn?: number;
  readonly shared?: boolean;
}

interface RevokeFlags extends ServerOptions {
  readonly tenant: string;
  readonly issuer?: string;
  readonly jti?: string;
  readonly subject?: string;
  readonly signingKey?: string;
  readonly stdin?: boolean;
  readonly all?: boolean;
  readonly notBefore?: string;
}

/** `bulkhead tokens`: issuing them in development, and revoking any. */
export function tokensCommand(context: AdminCommandContext): Command {
  const tokens = new Command("tokens").description("Access tokens: issue them in development, revoke any.");

  tokens.addCommand(
    adminCommand("issue", "Issue an access token, in development, for tests and scripts.")
      .requiredOption("--tenant <tenant>", "id or slug")
      .addOption(
        new Option(
          "--user <user>",
          "subject of a demonstration user; the tenant's first where absent",
        ).conflicts("subject"),
      )
      .option("--subject <subject>", "any other subject, with --scope")
      .option("--scope <scopes>", "permissions, with spaces between; the user's where absent", several)
      .option("--expires-in <duration>", "at most 1h; 5m where absent", durationUpTo("1h"))
      .option("--shared", "from the broker, for the shared URL")
      .action(
        withServer<IssueFlags>(context, async (client, options) => {
          const issued = await client.call("POST", "/development/tokens", {
            tenant: options.tenant,
            user: options.user,
            subject: options.subject,
            scope: options.scope?.join(" "),
            expiresIn: options.expiresIn,
            shared: options.shared,
          });
          if (typeof issued.token !== "string") throw notAnAdminApi();
          // The token alone, so that it fits into $(…).
          if (options.json === true) printJson(issued);
          else print(issued.token);
        }),
      ),
  );

  tokens.addCommand(
    adminCommand(
      "revoke",
      "Revoke a token, all of a subject, all that a key signed, or everything of a tenant.",
    )
      .requiredOption("--tenant <tenant>", "id or slug")
      .option("--stdin", "the one token that stands on standard input")
      .option("--issuer <issuer>", "with --jti, --subject or --signing-key: whose")
      .option("--jti <id>", "the one token of this id")
      .option("--subject <subject>", "every token issued to this subject so far")
      .option("--signing-key <kid>", "every token signed with this key")
      .option("--all", "every token and API key of the tenant issued so far")
      .option(
        "--not-before <time>",
        "with --subject or --all: issued until then, as 2026-01-31T12:00:00Z; now where absent",
      )
      .action(
        withServer<RevokeFlags>(context, async (client, options) => {
          const body = await revocationOf(options);
          const revoked = await client.call("POST", adminPath`/tenants/${options.tenant}/revocations`, body);
          if (options.json === true) printJson(revoked);
          else
            printRecord([
              ["id", revoked.id],
              ["kind", revoked.kind],
              ["issuer", revoked.issuer],
              ["jti", revoked.jti],
              ["subject", revoked.subject],
              ["signing key", revoked.keyId],
              ["not before", revoked.notBefore],
            ]);
          if (options.json !== true) warnOfUnregisteredIssuer(options.tenant, revoked);
        }),
      ),
  );
  return tokens;
}

async function revocationOf(options: RevokeFlags): Promise<object> {
  const { issuer, jti, subject, signingKey: keyId, notBefore } = options;
  const kinds = [jti, subject, keyId, options.stdin, options.all].filter((one) => one !== undefined);
  if (kinds.length !== 1) {
    throw usage("Give one of --stdin, --jti, --subject, --signing-key and --all.");
  }
  // What would be passed over might be what the caller relied on.
  if (notBefore !== undefined && subject === undefined && options.all !== true) {
    throw usage("--not-before goes with --subject or --all: a token or a key is revoked as a whole.");
  }
  if (options.all === true || options.stdin === true) {
    if (issuer !== undefined) throw usage("--issuer goes with --jti, --subject or --signing-key.");
    return options.all === true
      ? { notBefore: notBefore ?? "now" }
      : claimsOf((await readStandardInput()).trim(), options.tenant);
  }
  if (issuer === undefined) {
    throw usage("--jti, --subject and --signing-key need --issuer, the iss of the tokens.");
  }
  if (jti !== undefined) return { issuer, jti };
  return keyId !== undefined ? { issuer, keyId } : { issuer, subject, notBefore };
}

/** What names a token, read from it. Nothing is verified: a token that is not valid is only revoked besides. */
function claimsOf(token: string, tenant: string): { readonly issuer: string; readonly jti: string } {
  if (token === "") throw usage("Standard input is empty.");
  if (looksLikeApiKey(token)) {
    // Of the key, the id alone: the rest is its secret.
    const id = parseApiKey(token)?.id ?? "<id>";
    throw usage(`That is an API key: remove it with bulkhead keys remove ${id} --tenant ${tenant}`);
  }
  let claims: unknown;
  try {
    claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8"));
  } catch {
    claims = null;
  }
  const { iss, jti } = (claims ?? {}) as { readonly iss?: unknown; readonly jti?: unknown };
  if (typeof iss !== "string" || typeof jti !== "string") {
    throw usage("Standard input has no token with iss and jti; revoke its subject instead.");
  }
  return { issuer: iss, jti };
}

function usage(detail: string): Fault {
  return new Fault("usage", { detail });
}
