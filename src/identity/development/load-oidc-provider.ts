import type { errors, interactionPolicy, Provider } from "oidc-provider";

/** What is used of the authorization server's library. */
export interface OidcProvider {
  readonly Provider: typeof Provider;
  readonly errors: Pick<typeof errors, "InvalidGrant" | "InvalidTarget">;
  readonly interactionPolicy: Pick<typeof interactionPolicy, "base">;
}

/**
 * Loads the authorization server's library, which production never needs. Its parts are taken one by one, because its
 * index writes to the console on Node 20, where what is used of it works as well.
 */
export async function loadOidcProvider(): Promise<OidcProvider> {
  const [{ Provider }, errors, interactionPolicy] = await Promise.all([
    import("oidc-provider/lib/provider.js"),
    import("oidc-provider/lib/helpers/errors.js"),
    import("oidc-provider/lib/helpers/interaction_policy/index.js"),
  ]);
  return { Provider, errors, interactionPolicy };
}
