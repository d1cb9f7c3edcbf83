import { Command } from "commander";
import { Fault } from "../core/fault.ts";
import { type Answer, adminPath, notAnAdminApi, type ServerOptions } from "./admin-client.ts";
import { type AdminCommandContext, adminCommand, several, withServer } from "./admin-command.ts";
import { print, printJson, printList, printRecord } from "./print.ts";
import { warnOfUnregisteredIssuer } from "./unregistered-issuer.ts";

interface OfSubject extends ServerOptions {
  readonly tenant: string;
  readonly subject: string;
  readonly issuer?: string;
}

interface AssignFlags extends OfSubject {
  readonly issuer: string;
  readonly role: readonly string[];
}

interface ExplainFlags extends ServerOptions {
  readonly tenant: string;
  readonly subject?: string;
  readonly issuer?: string;
  readonly key?: string;
  readonly tool?: string;
  readonly resource?: string;
  readonly prompt?: string;
  readonly scope?: readonly string[];
  readonly role?: readonly string[];
}

/** `bulkhead access`: who may do what, why, and by which roles. */
export function accessCommand(context: AdminCommandContext): Command {
  const access = new Command("access").description("Who may do what, and why; roles of subjects.");

  access.addCommand(
    adminCommand(
      "explain",
      "Say whether a subject or an API key may use a tool, resource or prompt, and why.",
    )
      .requiredOption("--tenant <tenant>", "id or slug")
      .option("--subject <subject>", "sub of a token")
      .option("--issuer <issuer>", "iss of a token, where the subject's roles differ by issuer")
      .option("--key <id>", "an API key instead of a subject")
      .option("--tool <name>", "name of a tool")
      .option("--resource <uri>", "URI of a resource, or its template")
      .option("--prompt <name>", "name of a prompt")
      .option(
        "--scope <scopes>",
        "scopes that the token would have; in development, where absent, those of the demonstration user",
        several,
      )
      .option("--role <name>", "role that the token would name; may be repeated", several)
      .action(
        withServer<ExplainFlags>(context, async (client, options) => {
          const targets = [options.tool, options.resource, options.prompt];
          if (targets.filter((target) => target !== undefined).length !== 1)
            throw new Fault("usage", { detail: "Give one of --tool, --resource and --prompt." });
          const query = new URLSearchParams();
          for (const name of ["subject", "issuer", "key", "tool", "resource", "prompt"] as const) {
            const value = options[name];
            if (value !== undefined) query.set(name, value);
          }
          if (options.scope !== undefined) query.set("scope", options.scope.join(" "));
          for (const role of options.role ?? []) query.append("role", role);
          const answer = await client.call("GET", `${adminPath`/tenants/${options.tenant}/access`}?${query}`);
          explain(answer, options.json === true);
        }),
      ),
  );

  access.addCommand(
    adminCommand("list", "List the roles that a tenant has assigned to subjects.")
      .requiredOption("--tenant <tenant>", "id or slug")
      .action(
        withServer<OfSubject>(context, async (client, options) => {
          const rows = await client.list(adminPath`/tenants/${options.tenant}/role-assignments`);
          printList(
            rows,
            [
              ["subject", (row) => row.subject],
              ["roles", (row) => row.roles],
              ["issuer", (row) => row.issuer],
            ],
            options.json === true,
          );
        }),
      ),
  );

  access.addCommand(
    adminCommand("assign", "Give a subject roles of its tenant, in place of those it was given before.")
      .requiredOption("--tenant <tenant>", "id or slug")
      .requiredOption("--subject <subject>", "sub of its tokens")
      .requiredOption("--issuer <issuer>", "iss of its tokens")
      .requiredOption("--role <name>", "role of the tenant; may be repeated", several)
      .action(
        withServer<AssignFlags>(context, async (client, { tenant, subject, issuer, role, json }) => {
          const body = { issuer, subject, roles: role };
          const assigned = await client.call("PUT", adminPath`/tenants/${tenant}/role-assignments`, body);
          if (json === true) printJson(assigned);
          else
            printRecord([
              ["subject", assigned.subject],
              ["issuer", assigned.issuer],
              ["roles", assigned.roles],
            ]);
          if (json !== true) warnOfUnregisteredIssuer(tenant, assigned);
        }),
      ),
  );

  access.addCommand(
    adminCommand("unassign", "Take the assigned roles from a subject.")
      .requiredOption("--tenant <tenant>", "id or slug")
      .requiredOption("--subject <subject>", "sub of its tokens")
      .requiredOption("--issuer <issuer>", "iss of its tokens")
      .action(
        withServer<OfSubject>(context, async (client, { tenant, subject, issuer = "", json }) => {
          const query = new URLSearchParams({ issuer, subject });
          const taken = await client.call(
            "DELETE",
            `${adminPath`/tenants/${tenant}/role-assignments`}?${query}`,
          );
          if (json === true) printJson(taken);
          else print(`${subject} has no assigned roles any more.`);
        }),
      ),
  );
  return access;
}

function explain(answer: Answer, json: boolean): void {
  if (typeof answer.why !== "string") throw notAnAdminApi();
  if (json) {
    printJson(answer);
    return;
  }
  print(answer.why);
  const grants = Array.isArray(answer.grants) ? (answer.grants as Answer[]) : [];
  if (grants.length === 0) return;
  print("");
  printList(
    grants,
    [
      ["permission", (row) => row.permission],
      ["from", (row) => row.from],
    ],
    false,
  );
}
