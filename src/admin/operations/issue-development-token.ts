import { isRefusal, refuse } from "../../core/refusal.ts";
import { defineOperation } from "../admin-operation.ts";
import { developmentToken, developmentTokenRequest } from "../schemas/development-token.ts";

export const issueDevelopmentToken = defineOperation({
  action: "development.issue_token",
  method: "post",
  path: "/development/tokens",
  summary: "Issue an access token for tests and scripts; there in development mode alone",
  access: "operator",
  request: { body: developmentTokenRequest },
  conditional: false,
  changes: false,
  answers: { 201: { description: "The token, shown this once.", schema: developmentToken } },
  refusals: ["tenant_not_found"],
  target: ({ body }) => body.tenant,
  async run({ body }, { administration, development }) {
    if (development === null) return refuse("route_unknown");
    const tenant = body.tenant === null ? null : await administration.tenant(body.tenant);
    if (tenant === null) return refuse("tenant_not_found");
    const issued = await development.issueDevelopmentToken({
      tenant: { id: tenant.id, slug: tenant.slug },
      user: body.user ?? null,
      subject: body.subject ?? null,
      scopes: body.scope ?? null,
      expiresInSeconds: body.expiresIn,
      shared: body.shared,
    });
    if (isRefusal(issued)) return issued;
    const { token, issuer, audience, subject, scopes, expiresAt } = issued;
    return {
      status: 201,
      body: { token, issuer, audience, subject, scopes, expiresAt: new Date(expiresAt).toISOString() },
      tenantId: tenant.id,
    };
  },
});
