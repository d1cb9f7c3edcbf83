import type { RevocationRecord, RevocationTarget } from "../tenancy/revocation-record.ts";

export function showRevocation({ id, target, expiresAt, createdAt, createdBy }: RevocationRecord) {
  return {
    id,
    kind: target.kind,
    ...showTarget(target),
    expiresAt: expiresAt?.toISOString() ?? null,
    createdAt: createdAt.toISOString(),
    createdBy,
  };
}

/** As the request for it had it. */
function showTarget(target: RevocationTarget) {
  switch (target.kind) {
    case "token":
      return { issuer: target.issuer, jti: target.value };
    case "subject":
      return { issuer: target.issuer, subject: target.value, notBefore: target.notBefore.toISOString() };
    case "signing_key":
      return { issuer: target.issuer, keyId: target.value };
    case "tenant":
      return { notBefore: target.notBefore.toISOString() };
  }
}
