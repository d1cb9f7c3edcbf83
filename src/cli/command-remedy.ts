import type { ErrorCode } from "../core/error-table.ts";

/**
 * What to do about a refusal of the admin API, for somebody at the command line: as a command where there is one.
 * @param at.command as it is typed, for example `keys create`.
 * @returns null where the server's own remedy is the best there is.
 */
export function commandRemedy(
  code: ErrorCode,
  at: { readonly command: string; readonly tenant: string | undefined },
): string | null {
  const ofTenant = at.tenant === undefined ? "" : ` --tenant ${at.tenant}`;
  switch (code) {
    case "input_invalid":
      return `Correct what it names: bulkhead ${at.command} --help describes the options.`;
    case "tenant_not_found":
      return "Check --tenant: it takes the slug or the id. GET /admin/v1/tenants lists the tenants.";
    case "issuer_not_found":
      return `bulkhead issuers list${ofTenant} shows the ids.`;
    case "key_not_found":
      return `bulkhead keys list${ofTenant} shows the ids.`;
    case "role_assignment_not_found":
      return `bulkhead access list${ofTenant} shows who has roles, and of which issuer.`;
    case "keys_off":
      return `Turn them on first: bulkhead keys enable${ofTenant}`;
    case "operator_token_required":
      return "Give the server's operator token in BULKHEAD_OPERATOR_TOKEN, or an access token with the permission admin of the tenant's own issuer.";
    case "route_unknown":
      return "Check the URL. A server without an operator token has no admin API, and only bulkhead dev issues tokens.";
    default:
      return null;
  }
}
