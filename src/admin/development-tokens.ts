import type { Slug, TenantId } from "../core/ids.ts";
import type { Refusal } from "../core/refusal.ts";

/** What a token of development is asked to be. */
export interface DevelopmentTokenRequest {
  readonly tenant: { readonly id: TenantId; readonly slug: Slug };
  /** Subject of one of the tenant's demonstration users; null where `subject` is given, or else for the first of them. */
  readonly user: string | null;
  /** Any other subject. */
  readonly subject: string | null;
  /** Null: the permissions of the user. */
  readonly scopes: readonly string[] | null;
  readonly expiresInSeconds: number;
  /** True: from the broker, for the shared URL. */
  readonly shared: boolean;
}

export interface DevelopmentToken {
  readonly token: string;
  readonly issuer: string;
  readonly audience: string;
  readonly subject: string;
  readonly scopes: readonly string[];
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/** Who issues tokens for tests and scripts: there in development mode alone. */
export interface DevelopmentTokens {
  /** Refuses a user that the tenant does not have with `input_invalid`. */
  issueDevelopmentToken(request: DevelopmentTokenRequest): Promise<DevelopmentToken | Refusal>;
}
