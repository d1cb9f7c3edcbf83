import { createHmac } from "node:crypto";
import type pg from "pg";
import { parseIntoClientConfig } from "pg-connection-string";
import { Fault } from "../core/fault.ts";

/** The roles that the doors connect as. `bulkhead_owner` cannot log in. */
export type DoorRole = "bulkhead_system" | "bulkhead_tenant";

/** How to reach a database, as whom the deployment's administrator does. */
export type ConnectionSettings = pg.ClientConfig;

/**
 * @param url a PostgreSQL URL, also of the form `postgres://user:password@/database?host=/socket/directory`.
 * @throws Fault `setting_invalid` without the URL in it: it contains a password.
 */
export function connectionSettings(url: string): ConnectionSettings {
  let parsed: pg.ClientConfig;
  try {
    parsed = parseIntoClientConfig(url);
  } catch {
    throw new Fault("setting_invalid", { detail: "The database URL cannot be parsed." });
  }
  if (!parsed.database || !parsed.user) {
    throw new Fault("setting_invalid", { detail: "The database URL must name a user and a database." });
  }
  return parsed;
}

/**
 * The password of a door's role, derived from the administrator's: every instance computes the same one, nothing more
 * has to be configured, and `bulkhead migrate` sets it anew after the administrator's password has changed.
 */
export function rolePassword(admin: ConnectionSettings, role: DoorRole): string {
  if (typeof admin.password !== "string" || admin.password === "") {
    throw new Fault("setting_invalid", {
      detail:
        "The database URL must contain a password, from which those of Bulkhead's own roles are derived.",
    });
  }
  return createHmac("sha256", admin.password).update(`bulkhead role ${role}`).digest("base64url");
}

/** Settings to connect as one of the doors' roles. */
export function doorSettings(admin: ConnectionSettings, role: DoorRole): ConnectionSettings {
  return {
    ...admin,
    user: role,
    password: rolePassword(admin, role),
    application_name: role,
    keepAlive: true,
    connectionTimeoutMillis: 5_000,
    // Session defaults, so that RESET ALL returns to them. pg_temp last: a temporary object can hide nothing.
    options:
      role === "bulkhead_tenant"
        ? "-c search_path=app,public,pg_temp -c idle_in_transaction_session_timeout=60000"
        : "-c search_path=pg_catalog,pg_temp -c idle_in_transaction_session_timeout=60000",
  };
}
