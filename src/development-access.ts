/**
 * What development mode gives out. Apart from what makes it, so that the declarations of the public API lead to no
 * package whose types a user of the library may not have.
 */
import type { Slug, TenantId } from "./core/ids.ts";
import type { Refusal } from "./core/refusal.ts";
import type { DevelopmentAuthorizationServer } from "./identity/development/authorization-server.ts";

/** What development mode gives out. */
export interface Development {
  readonly authorizationServer: DevelopmentAuthorizationServer;
  /** The broker issuer of the shared URL. */
  readonly issuer: string;
  /** Demonstration tenants with fresh tokens, in the module's order. */
  tenants(): Promise<readonly DevelopmentTenantAccess[]>;
  /** After tenants came or went: gives new ones their issuer, and forgets what clients were given for those that are gone. */
  refresh(): Promise<void>;
  /**
   * An access token for tests and scripts. `input_invalid` for a user that the tenant does not have, and for another
   * subject without scopes; `tenant_not_found` for a tenant that has no development issuer.
   */
  issueDevelopmentToken(of: DevelopmentTokenRequest): Promise<IssuedDevelopmentToken | Refusal>;
}

/** What a token is asked to be. */
export interface DevelopmentTokenRequest {
  readonly tenant: { readonly id: TenantId; readonly slug: Slug };
  /** Subject of a demonstration user. Null: the first, or `subject` where that is given. */
  readonly user: string | null;
  /** Any other subject. */
  readonly subject: string | null;
  /** Null: the permissions of the user. */
  readonly scopes: readonly string[] | null;
  /** 1 to 3,600. */
  readonly expiresInSeconds: number;
  /** True: from the broker, for the shared URL. */
  readonly shared: boolean;
}

export interface IssuedDevelopmentToken {
  readonly token: string;
  readonly issuer: string;
  readonly audience: string;
  readonly subject: string;
  readonly scopes: readonly string[];
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
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
