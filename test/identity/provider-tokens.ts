import type { IssuerProfile } from "../../src/identity/issuer-profiles.ts";
import { createFakeClock } from "./fake-clock.ts";

/** The resource that the tokens here are for. */
export const RESOURCE = "https://mcp.example.com/t/acme/mcp";
/** An API is known to Entra by its application id, which is then registered as the audience. */
const API_ID = "11111111-2222-3333-4444-555555555555";
const CLIENT = "example-client-id";

type Json = Readonly<Record<string, unknown>>;
/** A token before it is signed. */
export interface Shape {
  readonly header: Json;
  readonly payload: Json;
}

const NOW = Math.floor(createFakeClock().now() / 1000);
const times = (seconds: number) => ({ iat: NOW, exp: NOW + seconds });

interface Provider {
  readonly issuer: string;
  readonly tenantValue: string | null;
  readonly audience?: string;
  /** The tokens that the provider gives for this resource, and the permissions and roles in them. */
  readonly accepted: Readonly<
    Record<string, Shape & { readonly permissions: readonly string[]; readonly roles?: readonly string[] }>
  >;
  readonly refused: Readonly<Record<string, Shape>>;
}

const RFC9068 = { typ: "at+jwt" };
const JWT = { typ: "JWT" };

const genericToken = {
  iss: "https://idp.example.com",
  sub: "ada",
  aud: RESOURCE,
  client_id: CLIENT,
  scope: "tickets:read",
  tenant_id: "acme",
  jti: "j1",
  ...times(300),
};

const auth0Token = {
  iss: "https://acme.eu.auth0.com/",
  sub: "auth0|6553da60a54af58e29493993",
  aud: [RESOURCE, "https://acme.eu.auth0.com/userinfo"],
  ...times(3600),
  scope: "openid profile tickets:read",
  org_id: "org_ljUBBbm2FPQjbMRM",
  azp: CLIENT,
};
const auth0IdToken = {
  iss: auth0Token.iss,
  sub: auth0Token.sub,
  aud: CLIENT,
  ...times(3600),
  sid: "gXjkdHsf",
  nonce: "n-0S6_WzA2Mj",
  org_id: auth0Token.org_id,
};

const oktaToken = {
  ver: 1,
  jti: "AT.MNAoEQ_jbKqoinrQo1D0XKjMX28U5d7ZszBceot7-Ts",
  iss: "https://acme.okta.com/oauth2/aus1",
  aud: RESOURCE,
  ...times(3600),
  cid: CLIENT,
  uid: "00uid4BxXw6I6TV4m0g3",
  scp: ["openid", "tickets:read"],
  auth_time: NOW - 60,
  sub: "00uid4BxXw6I6TV4m0g3",
};
const oktaIdToken = {
  ver: 1,
  jti: "ID.radCQMOQUmyvcTBmmIL0J6BaS60apUEiC7-vI7pOmkw",
  iss: oktaToken.iss,
  aud: CLIENT,
  sub: oktaToken.sub,
  ...times(3600),
  amr: ["pwd"],
  auth_time: NOW - 60,
  at_hash: "fPlsvVszI29LU2UhDyJ9vg",
};

const ENTRA_TENANT = "9b3f1c8e-6d7a-4a44-9d1d-0c2f6f1f7a10";
const entraBase = {
  aud: API_ID,
  iss: `https://login.microsoftonline.com/${ENTRA_TENANT}/v2.0`,
  nbf: NOW,
  // 60 to 90 minutes, and five for clocks.
  ...times(95 * 60),
  aio: "AVQAq/8TAAAA",
  azp: CLIENT,
  azpacr: "1",
  oid: "c6f3a2b0-0000-4000-8000-000000000001",
  rh: "0.AX",
  sub: "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
  tid: ENTRA_TENANT,
  uti: "fqiBqXLPj0eQa82S-IYFAA",
  ver: "2.0",
};
const entraToken = { ...entraBase, scp: "tickets:read tickets:write", roles: ["agent"] };
const entraIdToken = {
  iss: entraBase.iss,
  tid: ENTRA_TENANT,
  sub: entraBase.sub,
  oid: entraBase.oid,
  ver: "2.0",
  nbf: NOW,
  ...times(3600),
  // A client that signs in with the API's own registration.
  aud: API_ID,
  name: "Ada",
  preferred_username: "ada@acme.example",
  roles: ["agent"],
};

const workosToken = {
  iss: "https://acme.authkit.app",
  aud: RESOURCE,
  sub: "user_01JQ0E27VT3MH79RY0FVA4QBP9",
  client_id: "client_01JP8BD0CZ401TDF9X54NT5ZEK",
  org_id: "org_01HRDMC6CM357W30QMHMQ96Q0S",
  sid: "app_consent_01JQ0E27WE4K1RCMH7Q094M1GJ",
  scope: "openid profile email",
  jti: "01JQ0E27ZXE4XNHVP870S6PWYN",
  ...times(300),
};
const workosIdToken = {
  iss: workosToken.iss,
  aud: workosToken.client_id,
  sub: workosToken.sub,
  ...times(300),
  name: "Ada",
  nonce: "4QWsQj7bUUkCXnoC",
  org_id: workosToken.org_id,
};

const keycloakToken = {
  ...times(300),
  auth_time: NOW - 60,
  jti: "onrtac:3c1d2f4e",
  iss: "https://id.example.com/realms/customers",
  aud: [RESOURCE, "account"],
  sub: "f7ad7c81-0000-4000-8000-000000000001",
  typ: "Bearer",
  azp: CLIENT,
  sid: "5c2a",
  acr: "1",
  realm_access: { roles: ["default-roles-customers", "agent"] },
  resource_access: { account: { roles: ["manage-account"] } },
  scope: "openid organization tickets:read",
  organization: ["acme"],
};
const keycloakIdToken = {
  ...times(300),
  iss: keycloakToken.iss,
  aud: CLIENT,
  sub: keycloakToken.sub,
  typ: "ID",
  azp: CLIENT,
  nonce: "n",
  at_hash: "h",
  organization: ["acme"],
};

const cognitoToken = {
  sub: "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
  iss: "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Example",
  version: 2,
  client_id: "1example23456789",
  aud: RESOURCE,
  origin_jti: "11111111-2222-3333-4444-555555555555",
  event_id: "66666666-7777-8888-9999-000000000000",
  token_use: "access",
  scope: `openid ${RESOURCE}/tickets.read`,
  auth_time: NOW,
  ...times(3600),
  jti: "aaaaaaaa-1111-2222-3333-444444444444",
  username: "ada",
  "cognito:groups": ["agent"],
  "custom:tenant": "acme",
};
const cognitoIdToken = {
  sub: cognitoToken.sub,
  iss: cognitoToken.iss,
  aud: cognitoToken.client_id,
  token_use: "id",
  auth_time: NOW,
  ...times(3600),
  "cognito:username": "ada",
  "custom:tenant": "acme",
};

/** Tokens in the shapes of the providers, valid at the time at which a fake clock starts. */
export const PROVIDERS: Readonly<Record<IssuerProfile, Provider>> = {
  generic: {
    issuer: genericToken.iss,
    tenantValue: "acme",
    accepted: { "RFC 9068": { header: RFC9068, payload: genericToken, permissions: ["tickets:read"] } },
    refused: {
      "of type JWT": { header: JWT, payload: genericToken },
      "another tenant": { header: RFC9068, payload: { ...genericToken, tenant_id: "globex" } },
      "two tenants": { header: RFC9068, payload: { ...genericToken, tenant_id: ["acme", "globex"] } },
      "a list of one tenant": { header: RFC9068, payload: { ...genericToken, tenant_id: ["acme"] } },
    },
  },
  auth0: {
    issuer: auth0Token.iss,
    tenantValue: auth0Token.org_id,
    accepted: {
      "Auth0's own profile": {
        header: JWT,
        payload: auth0Token,
        permissions: ["openid", "profile", "tickets:read"],
      },
      "without the scope openid": {
        header: JWT,
        payload: { ...auth0Token, aud: RESOURCE, scope: "tickets:read" },
        permissions: ["tickets:read"],
      },
      "RFC 9068 profile": {
        header: RFC9068,
        payload: { ...auth0Token, azp: undefined, client_id: CLIENT, jti: "73WakrfVbNJBaAmhQtEeDv" },
        permissions: ["openid", "profile", "tickets:read"],
      },
      "a program without scopes": {
        header: JWT,
        payload: {
          ...auth0Token,
          sub: `${CLIENT}@clients`,
          aud: RESOURCE,
          scope: undefined,
          gty: "client-credentials",
        },
        permissions: [],
      },
      "permissions beyond the scopes asked for": {
        header: JWT,
        payload: { ...auth0Token, permissions: ["tickets:read", "tickets:write"] },
        permissions: ["openid", "profile", "tickets:read"],
      },
    },
    refused: {
      "ID token": { header: JWT, payload: auth0IdToken },
      "ID token for this audience": { header: JWT, payload: { ...auth0IdToken, aud: RESOURCE, azp: CLIENT } },
      "another organization": { header: JWT, payload: { ...auth0Token, org_id: "org_other" } },
      "no organization": { header: JWT, payload: { ...auth0Token, org_id: undefined } },
      "the organization's name in place of its id": {
        header: JWT,
        payload: { ...auth0Token, org_id: undefined, org_name: auth0Token.org_id },
      },
      "two organizations": {
        header: JWT,
        payload: { ...auth0Token, org_id: [auth0Token.org_id, "org_other"] },
      },
      "for userinfo alone": {
        header: JWT,
        payload: { ...auth0Token, aud: ["https://acme.eu.auth0.com/userinfo"] },
      },
      "for the userinfo of another": {
        header: JWT,
        payload: { ...auth0Token, aud: [RESOURCE, "https://other.eu.auth0.com/userinfo"] },
      },
      "a life of a day, which is Auth0's default": {
        header: JWT,
        payload: { ...auth0Token, ...times(86_400) },
      },
    },
  },
  okta: {
    issuer: oktaToken.iss,
    tenantValue: null,
    accepted: {
      "a custom authorization server": {
        header: {},
        payload: oktaToken,
        permissions: ["openid", "tickets:read"],
      },
      "a program": {
        header: {},
        payload: { ...oktaToken, uid: undefined, auth_time: undefined, sub: CLIENT, scp: ["tickets:read"] },
        permissions: ["tickets:read"],
      },
    },
    refused: {
      "ID token": { header: {}, payload: oktaIdToken },
      "ID token for this audience": { header: {}, payload: { ...oktaIdToken, aud: RESOURCE } },
      "the organization's own authorization server": {
        header: {},
        payload: { ...oktaToken, iss: "https://acme.okta.com", aud: "https://acme.okta.com" },
      },
      "another Okta organization": {
        header: {},
        payload: { ...oktaToken, iss: "https://globex.okta.com/oauth2/aus1" },
      },
      "the default audience": { header: {}, payload: { ...oktaToken, aud: "api://default" } },
      "two audiences": { header: {}, payload: { ...oktaToken, aud: [RESOURCE, "api://default"] } },
      "of type JWT": { header: JWT, payload: oktaToken },
    },
  },
  entra: {
    issuer: entraBase.iss,
    tenantValue: ENTRA_TENANT,
    audience: API_ID,
    accepted: {
      "a person, version 2": {
        header: JWT,
        payload: entraToken,
        permissions: ["tickets:read", "tickets:write"],
        roles: ["agent"],
      },
      "a program, version 2": {
        header: JWT,
        payload: { ...entraBase, roles: ["agent"] },
        permissions: [],
        roles: ["agent"],
      },
    },
    refused: {
      "ID token of the same application": { header: JWT, payload: entraIdToken },
      "another directory": {
        header: JWT,
        payload: { ...entraToken, tid: "00000000-0000-4000-8000-000000000009" },
      },
      "another directory's issuer": {
        header: JWT,
        payload: {
          ...entraToken,
          iss: "https://login.microsoftonline.com/00000000-0000-4000-8000-000000000009/v2.0",
        },
      },
      "version 1": {
        header: JWT,
        payload: { ...entraToken, iss: `https://sts.windows.net/${ENTRA_TENANT}/`, ver: "1.0" },
      },
      "two directories": { header: JWT, payload: { ...entraToken, tid: [ENTRA_TENANT, "other"] } },
      "for Microsoft Graph": {
        header: JWT,
        payload: { ...entraToken, aud: "00000003-0000-0000-c000-000000000000" },
      },
      "a life of a day": { header: JWT, payload: { ...entraToken, ...times(86_400) } },
    },
  },
  workos: {
    issuer: workosToken.iss,
    tenantValue: workosToken.org_id,
    accepted: {
      "a person": { header: {}, payload: workosToken, permissions: ["openid", "profile", "email"] },
      "with permissions from a template": {
        header: {},
        payload: { ...workosToken, permissions: ["tickets:read"] },
        permissions: ["openid", "profile", "email", "tickets:read"],
      },
    },
    refused: {
      "ID token": { header: {}, payload: workosIdToken },
      "ID token for this audience": { header: {}, payload: { ...workosIdToken, aud: RESOURCE } },
      "without a resource: for the environment": {
        header: {},
        payload: { ...workosToken, aud: "client_01ENVIRONMENT" },
      },
      "a session of the application": {
        header: {},
        payload: {
          iss: "https://api.workos.com/user_management/client_01ENVIRONMENT",
          sub: workosToken.sub,
          sid: "session_01HQ",
          org_id: workosToken.org_id,
          role: "member",
          permissions: ["tickets:read"],
          ...times(300),
        },
      },
      "another organization": { header: {}, payload: { ...workosToken, org_id: "org_01OTHER" } },
      "no organization": { header: {}, payload: { ...workosToken, org_id: undefined } },
      "two organizations": {
        header: {},
        payload: { ...workosToken, org_id: [workosToken.org_id, "org_01OTHER"] },
      },
    },
  },
  keycloak: {
    issuer: keycloakToken.iss,
    tenantValue: "acme",
    accepted: {
      "organizations in a list": {
        header: JWT,
        payload: keycloakToken,
        permissions: ["openid", "organization", "tickets:read"],
        roles: ["default-roles-customers", "agent"],
      },
      "organizations with their ids": {
        header: JWT,
        payload: { ...keycloakToken, organization: { acme: { id: "42c3e46f-0000-4000-8000-000000000001" } } },
        permissions: ["openid", "organization", "tickets:read"],
        roles: ["default-roles-customers", "agent"],
      },
      "at+jwt, one audience, no roles": {
        header: RFC9068,
        payload: { ...keycloakToken, aud: RESOURCE, realm_access: undefined },
        permissions: ["openid", "organization", "tickets:read"],
      },
    },
    refused: {
      "ID token": { header: JWT, payload: keycloakIdToken },
      "ID token for this audience": { header: JWT, payload: { ...keycloakIdToken, aud: RESOURCE } },
      "refresh token": {
        header: JWT,
        payload: { ...keycloakToken, typ: "Refresh", aud: keycloakToken.iss },
      },
      "refresh token for this audience": { header: JWT, payload: { ...keycloakToken, typ: "Refresh" } },
      "logout token": { header: JWT, payload: { ...keycloakToken, typ: "Logout", events: {} } },
      "another organization": { header: JWT, payload: { ...keycloakToken, organization: ["globex"] } },
      "two organizations in a list": {
        header: JWT,
        payload: { ...keycloakToken, organization: ["acme", "globex"] },
      },
      "two organizations with their ids": {
        header: JWT,
        payload: { ...keycloakToken, organization: { acme: {}, globex: {} } },
      },
      "no organization": { header: JWT, payload: { ...keycloakToken, organization: undefined } },
      "an empty list": { header: JWT, payload: { ...keycloakToken, organization: [] } },
      "no audience mapper": { header: JWT, payload: { ...keycloakToken, aud: "account" } },
      "without any audience": { header: JWT, payload: { ...keycloakToken, aud: undefined } },
      "another client as well": {
        header: JWT,
        payload: { ...keycloakToken, aud: [RESOURCE, "account", "other-api"] },
      },
    },
  },
  cognito: {
    issuer: cognitoToken.iss,
    tenantValue: "acme",
    accepted: {
      "a person, bound to the resource": {
        header: {},
        payload: cognitoToken,
        permissions: ["openid", `${RESOURCE}/tickets.read`],
        roles: ["agent"],
      },
    },
    refused: {
      "ID token": { header: {}, payload: cognitoIdToken },
      "ID token for this audience": {
        header: {},
        payload: { ...cognitoIdToken, aud: RESOURCE, scope: "openid" },
      },
      "not bound to a resource": { header: {}, payload: { ...cognitoToken, aud: undefined } },
      "another tenant": { header: {}, payload: { ...cognitoToken, "custom:tenant": "globex" } },
      "no tenant": { header: {}, payload: { ...cognitoToken, "custom:tenant": undefined } },
      "two tenants": { header: {}, payload: { ...cognitoToken, "custom:tenant": ["acme", "globex"] } },
      "another pool": { header: {}, payload: { ...cognitoToken, iss: `${cognitoToken.iss}2` } },
    },
  },
};
