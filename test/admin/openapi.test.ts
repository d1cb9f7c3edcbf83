import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ADMIN_OPERATIONS } from "../../src/admin/admin-operations.ts";
import type { SystemDoor } from "../../src/data/system-door.ts";
import { createTestDatabase } from "../support/database.ts";
import { type AdminServer, startAdminServer } from "./admin-server.ts";

type Json = Readonly<Record<string, unknown>>;
interface Operation {
  readonly operationId: string;
  readonly summary?: string;
  readonly description?: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
  }[];
  readonly requestBody?: { readonly content: Record<string, { readonly schema: Json }> };
  readonly responses: Record<
    string,
    { readonly description: string; readonly content?: Record<string, { readonly schema: Json }> }
  >;
  readonly security?: readonly Json[];
}
interface Document {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, Json>; readonly securitySchemes: Json };
  readonly security: readonly Json[];
}

let database: { readonly system: SystemDoor; drop(): Promise<void> };
let server: AdminServer;
let document: Document;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startAdminServer(database.system);
  const answer = await server.call("GET", "/openapi.json", { token: null });
  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-type")).toBe("application/json");
  document = answer.body as unknown as Document;
});
afterAll(async () => {
  await server.close();
  await database.drop();
});

describe("the OpenAPI document", () => {
  it("is public and no administrative act, also with a query and as HEAD", async () => {
    expect(server.events).toEqual([]);
    expect((await server.call("GET", "/openapi.json?x=1", { token: null })).status).toBe(200);
    expect((await server.call("HEAD", "/openapi.json", { token: null })).status).toBe(200);
    expect(server.events).toEqual([]);
  });

  it("is of version 3.1 and asks for the operator token or, where they may, for a tenant administrator's", () => {
    expect(document.openapi).toMatch(/^3\.1\./);
    expect(document.security).toEqual([{ operatorToken: [] }]);
    expect(document.components.securitySchemes).toEqual({
      operatorToken: { type: "http", scheme: "bearer", description: expect.any(String) },
      tenantToken: { type: "http", scheme: "bearer", description: expect.any(String) },
    });
    const accessOf = new Map(ADMIN_OPERATIONS.map(({ action, access }) => [action, access]));
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const { operationId, security } of Object.values(operations)) {
        const schemes = (security ?? []).map((scheme) => Object.keys(scheme).join());
        const access = accessOf.get(operationId);
        if (path === "/admin/v1/openapi.json") expect(schemes).toEqual([]);
        else if (access === "operator") expect(schemes, path).toEqual(["operatorToken"]);
        else expect(schemes, path).toEqual(["operatorToken", "tenantToken"]);
      }
    }
  });

  it("says of every operation who may use it, and what a tenant's administrator may not send", () => {
    const change = document.paths["/admin/v1/tenants/{t}"]?.patch;
    expect(change?.description).toBe(
      "For the operator, and for administrators of the tenant, who may send only roles, scopes, apiKeys, dpop.",
    );
    expect(document.paths["/admin/v1/plans"]?.get?.description).toBe("For the operator alone.");
    for (const operations of Object.values(document.paths)) {
      for (const { summary = "", description = "", responses } of Object.values(operations)) {
        const told = Object.values(responses).some((response) =>
          response.description.includes("`operator_only`"),
        );
        expect(told).toBe(/alone|send only|only the operator/.test(`${summary} ${description}`));
      }
    }
  });

  it("has exactly the routes that are served", () => {
    const described = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(described.sort()).toEqual(
      [
        "GET /admin/v1/tenants",
        "POST /admin/v1/tenants",
        "GET /admin/v1/tenants/{t}",
        "PATCH /admin/v1/tenants/{t}",
        "DELETE /admin/v1/tenants/{t}",
        "POST /admin/v1/tenants/{t}/suspend",
        "POST /admin/v1/tenants/{t}/resume",
        "GET /admin/v1/tenants/{t}/access",
        "GET /admin/v1/plans",
        "GET /admin/v1/plans/{p}",
        "PUT /admin/v1/plans/{p}",
        "DELETE /admin/v1/plans/{p}",
        "GET /admin/v1/brokers",
        "POST /admin/v1/brokers",
        "DELETE /admin/v1/brokers/{id}",
        "GET /admin/v1/tenants/{t}/issuers",
        "POST /admin/v1/tenants/{t}/issuers",
        "DELETE /admin/v1/tenants/{t}/issuers/{id}",
        "GET /admin/v1/tenants/{t}/keys",
        "POST /admin/v1/tenants/{t}/keys",
        "DELETE /admin/v1/tenants/{t}/keys/{id}",
        "GET /admin/v1/tenants/{t}/revocations",
        "POST /admin/v1/tenants/{t}/revocations",
        "DELETE /admin/v1/tenants/{t}/revocations/{id}",
        "GET /admin/v1/tenants/{t}/role-assignments",
        "PUT /admin/v1/tenants/{t}/role-assignments",
        "DELETE /admin/v1/tenants/{t}/role-assignments",
        "GET /admin/v1/openapi.json",
      ].sort(),
    );
    expect(described).toHaveLength(ADMIN_OPERATIONS.length + 1);
  });

  it("names every operation once, with its parameters, answers and refusals", () => {
    const names = new Set<string>();
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const operation of Object.values(operations)) {
        names.add(operation.operationId);
        const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
        const stated = (operation.parameters ?? []).filter((parameter) => parameter.in === "path");
        expect(stated.map((parameter) => parameter.name)).toEqual(inPath);
        expect(stated.every((parameter) => parameter.required)).toBe(true);
        const statuses = Object.keys(operation.responses);
        expect(statuses.some((status) => status.startsWith("2"))).toBe(true);
        if (path !== "/admin/v1/openapi.json")
          expect(statuses).toEqual(expect.arrayContaining(["400", "401", "403", "429", "500", "503"]));
        for (const [status, response] of Object.entries(operation.responses)) {
          expect(response.description).not.toBe("");
          const type = status.startsWith("2") ? "application/json" : "application/problem+json";
          expect(Object.keys(response.content ?? {})).toEqual([type]);
        }
      }
    }
    expect(names.size).toBe(ADMIN_OPERATIONS.length + 1);
  });

  it("refers to nothing that it does not have", () => {
    const references: string[] = [];
    const walk = (value: unknown): void => {
      if (typeof value !== "object" || value === null) return;
      for (const [key, member] of Object.entries(value)) {
        if (key === "$ref") references.push(String(member));
        else walk(member);
      }
    };
    walk(document);
    expect(references.length).toBeGreaterThan(10);
    for (const reference of references) {
      const [, name] = /^#\/components\/schemas\/(\w+)$/.exec(reference) ?? [];
      expect(Object.keys(document.components.schemas), reference).toContain(name);
    }
  });

  it("describes the schemas that validate", () => {
    const { schemas } = document.components;
    expect(schemas.NewTenant).toMatchObject({
      type: "object",
      required: ["slug", "name"],
      additionalProperties: false,
    });
    expect(schemas.TenantChange).toMatchObject({ additionalProperties: false, minProperties: 1 });
    expect(String(schemas.TenantChange?.description)).toContain("limits");
    expect(schemas.Limits).toMatchObject({ type: "object", additionalProperties: false });
    const limits = schemas.Limits?.properties as Record<string, Json>;
    expect(limits.maxTools).toMatchObject({ type: ["integer", "null"], minimum: 0, maximum: 1e12 });
    expect(Object.keys(schemas.Problem?.properties as Json)).toEqual([
      "type",
      "title",
      "status",
      "detail",
      "code",
      "remedy",
      "errors",
      "operationId",
    ]);
    const list = document.paths["/admin/v1/tenants"]?.get?.parameters;
    expect(list?.map((parameter) => [parameter.name, parameter.in])).toEqual([
      ["limit", "query"],
      ["cursor", "query"],
    ]);
    const change = document.paths["/admin/v1/tenants/{t}"]?.patch?.parameters;
    expect(change?.map((parameter) => [parameter.name, parameter.in])).toEqual([
      ["t", "path"],
      ["If-Match", "header"],
    ]);
  });

  it("describes what is answered, member by member", async () => {
    const { body } = await server.call("POST", "/tenants", { body: { slug: "shown", name: "Shown" } });
    const properties = document.components.schemas.Tenant?.properties as Json;
    expect(Object.keys(properties).sort()).toEqual(Object.keys(body).sort());
    const effective = document.components.schemas.EffectiveLimits?.properties as Json;
    expect(Object.keys(effective).sort()).toEqual(Object.keys(body.effectiveLimits as Json).sort());
    const plan = await server.call("GET", "/plans/free");
    expect(Object.keys(document.components.schemas.Plan?.properties as Json).sort()).toEqual(
      Object.keys(plan.body).sort(),
    );
    const proof = await server.call("DELETE", "/tenants/shown");
    expect(Object.keys(document.components.schemas.DeletionProof?.properties as Json).sort()).toEqual(
      Object.keys(proof.body).sort(),
    );
  });

  it("holds schemas that an independent validator agrees with", async () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    ajv.addSchema(document, "doc");
    const validates = (name: string, value: unknown): boolean => {
      const validate = ajv.getSchema(`doc#/components/schemas/${name}`);
      return validate?.(value) === true;
    };
    const body = {
      slug: "validated",
      name: "Ünïcödé & Co",
      limits: { burst: null, storageMb: 0.5 },
      roles: { r: ["a:b"] },
    };
    expect(validates("NewTenant", body)).toBe(true);
    expect(validates("NewTenant", { ...body, slug: "No" })).toBe(false);
    expect(validates("NewTenant", { ...body, name: "\0" })).toBe(false);
    expect(validates("NewTenant", { ...body, id: "x" })).toBe(false);
    expect(validates("TenantChange", {})).toBe(false);
    expect(validates("Limits", { maxTools: 1.5 })).toBe(false);
    expect(validates("Tenant", (await server.call("POST", "/tenants", { body })).body)).toBe(true);
    expect(validates("TenantPage", (await server.call("GET", "/tenants")).body)).toBe(true);
    expect(validates("PlanPage", (await server.call("GET", "/plans")).body)).toBe(true);
    expect(validates("Problem", (await server.call("POST", "/tenants", { body: {} })).body)).toBe(true);
    expect(validates("Problem", (await server.call("GET", "/tenants/nobody")).body)).toBe(true);
    expect(validates("DeletionProof", (await server.call("DELETE", "/tenants/validated")).body)).toBe(true);
  });
});
