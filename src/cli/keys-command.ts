import { Command } from "commander";
import { adminPath, notAnAdminApi, type ServerOptions } from "./admin-client.ts";
import { type AdminCommandContext, adminCommand, several, withServer } from "./admin-command.ts";
import { durationUpTo } from "./duration.ts";
import { print, printJson, printList, printRecord } from "./print.ts";

interface OfTenant extends ServerOptions {
  readonly tenant: string;
}

interface CreateFlags extends OfTenant {
  readonly name: string;
  readonly permission: readonly string[];
  readonly expiresIn?: number;
}

/** `bulkhead keys`: API keys of a tenant, for machines. */
export function keysCommand(context: AdminCommandContext): Command {
  const keys = new Command("keys").description("API keys of a tenant, for machines.");
  const ofTenant = (name: string, description: string): Command =>
    adminCommand(name, description).requiredOption("--tenant <tenant>", "id or slug");

  keys.addCommand(
    ofTenant("list", "List a tenant's API keys, without their secrets.").action(
      withServer<OfTenant>(context, async (client, options) => {
        const rows = await client.list(adminPath`/tenants/${options.tenant}/keys`);
        printList(
          rows,
          [
            ["id", (row) => row.id],
            ["name", (row) => row.name],
            ["permissions", (row) => row.permissions],
            ["expires", (row) => `${String(row.expiresAt)}${row.expired === true ? " (expired)" : ""}`],
          ],
          options.json === true,
        );
      }),
    ),
  );

  keys.addCommand(
    ofTenant("create", "Create an API key. It is shown this once.")
      .requiredOption("--name <name>", "what the key is for")
      .requiredOption("--permission <permission>", "what its bearer may do; may be repeated", several)
      .option(
        "--expires-in <duration>",
        "for example 30d, at most 366d; 90d where absent",
        durationUpTo("366d"),
      )
      .action(
        withServer<CreateFlags>(context, async (client, options) => {
          const created = await client.call("POST", adminPath`/tenants/${options.tenant}/keys`, {
            name: options.name,
            permissions: options.permission,
            ...(options.expiresIn === undefined
              ? {}
              : { expiresAt: new Date(Date.now() + options.expiresIn * 1_000).toISOString() }),
          });
          if (typeof created.key !== "string") throw notAnAdminApi();
          if (options.json === true) printJson(created);
          else
            printRecord([
              ["id", created.id],
              ["name", created.name],
              ["expires", created.expiresAt],
              ["key, shown this once", created.key],
            ]);
        }),
      ),
  );

  keys.addCommand(
    ofTenant("remove", "Remove an API key: it stops counting within a second.")
      .argument("<id>", "as `keys list` shows it")
      .action(
        withServer<OfTenant>(context, async (client, options, [id = ""]) => {
          const removed = await client.call("DELETE", adminPath`/tenants/${options.tenant}/keys/${id}`);
          if (options.json === true) printJson(removed);
          else printRecord([["removed", removed.id ?? id]]);
        }),
      ),
  );

  for (const [name, apiKeys, description] of [
    ["enable", true, "Turn API keys on for a tenant."],
    ["disable", false, "Turn API keys off for a tenant: none of them counts until they are turned on again."],
  ] as const) {
    keys.addCommand(
      ofTenant(name, description).action(
        withServer<OfTenant>(context, async (client, options) => {
          const tenant = await client.call("PATCH", adminPath`/tenants/${options.tenant}`, { apiKeys });
          if (tenant.apiKeys !== apiKeys) throw notAnAdminApi();
          if (options.json === true) printJson({ tenant: tenant.slug, apiKeys: tenant.apiKeys });
          else print(`API keys are ${apiKeys ? "on" : "off"} for ${String(tenant.slug)}.`);
        }),
      ),
    );
  }
  return keys;
}
