/**
 * What development mode gives out. Apart from what makes it, so that the declarations of the public API lead to no
 * package whose types a user of the library may not have.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AccessPorts } from "./admin/access-ports.ts";
import type { DevelopmentTokens } from "./admin/development-tokens.ts";

/** What development mode gives out. */
export interface Development extends DevelopmentTokens {
  readonly authorizationServer: {
    /** Takes a request for an address of one of its issuers; false, and nothing done, for any other. */
    handle(req: IncomingMessage, res: ServerResponse): Promise<boolean>;
  };
  /** The broker issuer of the shared URL. */
  readonly issuer: string;
  /** Demonstration tenants with fresh tokens, in the module's order. */
  tenants(): Promise<readonly DevelopmentTenantAccess[]>;
  /** After tenants came or went: gives new ones their issuer, and forgets what clients were given for those that are gone. */
  refresh(): Promise<void>;
  readonly scopesOfDemonstrationUser: NonNullable<AccessPorts["scopesOfDemonstrationUser"]>;
}

/** How to reach a demonstration tenant. Tokens last an hour. */
export interface DevelopmentTenantAccess {
  readonly id: string;
  readonly slug: string;
  readonly plan: string;
  readonly mcp: string;
  readonly issuer: string;
  /** From the tenant's own issuer, for `mcp`, as the first user. */
  readonly token: string;
  /** From the broker issuer, for the shared URL, as the first user. */
  readonly sharedToken: string;
  readonly users: readonly {
    readonly subject: string;
    readonly name: string;
    readonly permissions: readonly string[];
    readonly token: string;
  }[];
}
