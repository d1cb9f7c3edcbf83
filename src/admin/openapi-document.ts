import type { OpenAPIHono } from "@hono/zod-openapi";
import type { AdminEnv } from "./act.ts";

/** The OpenAPI 3.1 description of all that is registered in the application. */
export function openApiDocument(app: OpenAPIHono<AdminEnv>): string {
  app.openAPIRegistry.registerComponent("securitySchemes", "operatorToken", {
    type: "http",
    scheme: "bearer",
    description: "The operator's token: for all tenants.",
  });
  app.openAPIRegistry.registerComponent("securitySchemes", "tenantToken", {
    type: "http",
    scheme: "bearer",
    description:
      "An access token of a tenant's own issuer with the permission admin: for that tenant alone. API keys are refused.",
  });
  app.openAPIRegistry.registerPath({
    method: "get",
    path: "/openapi.json",
    operationId: "openapi.get",
    summary: "This document; the only route that needs no token",
    tags: ["openapi"],
    security: [],
    responses: {
      200: {
        description: "An OpenAPI 3.1 document.",
        content: { "application/json": { schema: { type: "object" } } },
      },
    },
  });
  return JSON.stringify(
    app.getOpenAPI31Document({
      openapi: "3.1.0",
      info: {
        title: "Bulkhead admin API",
        version: "1",
        description:
          "Tenants and plans of a Bulkhead deployment. Errors are RFC 9457 problems whose member code is stable. A tenant " +
          "is named by its id or its slug. To a tenant's administrator every other tenant is one that does not exist.",
      },
      // For whatever says nothing of its own.
      security: [{ operatorToken: [] }],
    }),
  );
}
