/**
 * What development mode gives out. Apart from what makes it, so that the declarations of the public API lead to no
 * package whose types a user of the library may not have.
 */
import type { DevelopmentAuthorizationServer } from "./identity/development/authorization-server.ts";

/** What development mode gives out. */
export interface Development {
  readonly authorizationServer: DevelopmentAuthorizationServer;
  /** The broker issuer of the shared URL. */
  readonly issuer: string;
  /** Demonstration tenants with fresh tokens, in the module's order. */
  tenants(): Promise<readonly DevelopmentTenantAccess[]>;
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
