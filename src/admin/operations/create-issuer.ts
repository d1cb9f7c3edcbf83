import type { z } from "@hono/zod-openapi";
import { isRefusal, type Refusal, refuse } from "../../core/refusal.ts";
import type { TenantRecord } from "../../tenancy/tenant-record.ts";
import { type Answer, defineOperation } from "../admin-operation.ts";
import type { IssuerAdministration, IssuerCreation } from "../issuer-administration.ts";
import { showIssuer } from "../issuer-answer.ts";
import { issuerRefusal, registrationOf } from "../issuer-registration.ts";
import { issuerTaken } from "../issuer-taken.ts";
import { inputInvalid } from "../problem.ts";
import { issuer, newIssuer } from "../schemas/issuer.ts";
import { tenantPath } from "../schemas/names.ts";
import { tooMany } from "../too-many.ts";

export const createIssuer = defineOperation({
  action: "issuers.create",
  method: "post",
  path: "/tenants/{t}/issuers",
  summary: "Register an issuer of a tenant, or map the tenant to a broker",
  access: "tenant",
  request: { params: tenantPath, body: newIssuer },
  conditional: false,
  changes: true,
  answers: { 201: { description: "The new issuer, or the broker as the tenant has it.", schema: issuer } },
  refusals: ["tenant_not_found", "issuer_refused", "too_many", "master_key_missing"],
  target: ({ params }) => params.t,
  async run({ params, body }, context, by) {
    const { administration } = context;
    const tenant = params.t === null ? null : await administration.tenant(params.t);
    if (tenant === null) return refuse("tenant_not_found");
    const refusal = issuerRefusal(body.issuer, context);
    if (refusal !== null) return refusal;
    // Before the issuer is asked anything: nobody makes this server send requests about what cannot be registered.
    const standing = await administration.issuerStanding(body.issuer);
    // Who may not map brokers is not told which issuers are any.
    if (standing.kind === "taken" || (standing.kind === "broker" && by.kind === "tenant"))
      return issuerTaken(standing, by, tenant.slug);
    if (standing.kind === "broker") return mapBroker(body, tenant, administration);
    const registration = await registrationOf(
      { body, slug: tenant.slug, tellReason: by.kind === "operator" },
      context,
    );
    if (isRefusal(registration)) return registration;
    // The issuer took its time to tell of its keys.
    const lost = await context.refusedMeanwhile(by);
    if (lost !== null) return lost;
    const outcome = await administration.createIssuer(tenant.id, registration);
    return outcome.kind === "issuer_refused"
      ? issuerTaken(await administration.issuerStanding(body.issuer), by, tenant.slug)
      : answerOf(outcome, tenant);
  },
});

/** The broker's registration says all but the value. */
async function mapBroker(
  { issuer: name, tenantValue, profile, ...others }: z.output<typeof newIssuer>,
  tenant: TenantRecord,
  administration: IssuerAdministration,
): Promise<Answer | Refusal> {
  const sent = [...Object.keys(others), ...(profile === "generic" ? [] : ["profile"])];
  const errors = sent.map((path) => ({
    path,
    message: "Is the broker's: send issuer and tenantValue alone",
  }));
  if (tenantValue === undefined) {
    errors.push({
      path: "tenantValue",
      message: "Is missing: what the broker's tenant claim is for this tenant",
    });
  }
  if (errors.length > 0 || tenantValue === undefined) return inputInvalid(errors);
  return answerOf(await administration.mapBroker(tenant.id, { issuer: name, tenantValue }), tenant);
}

function answerOf(outcome: IssuerCreation, tenant: TenantRecord): Answer | Refusal {
  if (outcome.kind === "too_many") return tooMany(outcome.of);
  if (outcome.kind !== "done") return refuse(outcome.kind);
  return {
    status: 201,
    body: showIssuer(outcome.issuer),
    tenantId: tenant.id,
    target: outcome.issuer.id,
  };
}
