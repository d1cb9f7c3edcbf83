import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { parseIssuerId } from "../../src/core/ids.ts";
import { ISSUER_PROFILES, type IssuerProfile } from "../../src/identity/issuer-profiles.ts";
import { ADMINISTRATOR } from "./callers.ts";
import {
  allPages,
  errorPaths,
  type IdentityServer,
  startIdentityServer,
  withoutOperation,
} from "./identity-server.ts";

let server: IdentityServer;
let number = 0;

beforeAll(async () => {
  server = await startIdentityServer();
});
afterAll(() => server.stop());
beforeEach(async () => {
  await server.database.admin("DELETE FROM bulkhead.issuers");
  server.events.length = 0;
  server.fetched.length = 0;
  server.metadata.clear();
});

const newUrl = (): string => `https://idp-${++number}.example/`;
const JWKS = "https://keys.example/jwks";
/** The least that registers an issuer of a tenant's own. */
const own = (more: object = {}) => ({ issuer: newUrl(), jwksUri: JWKS, tenantClaim: null, ...more });
const add = (tenant: string, body: unknown) => server.call("POST", `/tenants/${tenant}/issuers`, { body });
const CLIENT = {
  endpoint: "https://idp.example/introspect",
  clientId: "bulkhead",
  clientSecret: "s3cr3t-of-the-client",
};

describe("registering an issuer", () => {
  it("answers 201 with the registration, makes it count, and leaves one event that names it", async () => {
    const changes = server.changes();
    const issuer = newUrl();
    const answer = await add("acme", { issuer, jwksUri: JWKS, tenantClaim: "org", tenantValue: "org_1" });
    expect(answer.status).toBe(201);
    expect(parseIssuerId(String(answer.body.id))).not.toBeNull();
    expect(answer.body).toEqual({
      id: answer.body.id,
      issuer,
      broker: false,
      profile: "generic",
      jwksUri: JWKS,
      audience: null,
      otherAudiences: [],
      tenantClaim: "org",
      tenantClaimForm: "text",
      tenantValue: "org_1",
      scopeClaims: ["scope"],
      rolesClaim: null,
      algorithms: ["RS256", "PS256", "ES256", "EdDSA"],
      tokenType: "at+jwt",
      maxLifetimeSeconds: 3600,
      introspection: null,
      development: false,
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    });
    const { profile, createdAt, ...trusted } = answer.body;
    const snapshot = await server.snapshot("acme");
    expect(snapshot.issuers).toEqual([trusted]);
    expect((await server.snapshot("globex")).issuers).toEqual([]);
    expect(server.changes()).toBe(changes + 1);
    expect(server.takeActs()).toMatchObject([
      { action: "issuers.create", target: answer.body.id, tenantId: snapshot.id, outcome: "ok" },
    ]);
    expect(server.fetched).toEqual([]);
  });

  it.each(Object.keys(ISSUER_PROFILES) as IssuerProfile[])(
    "fills in what is absent from the profile %s",
    async (profile) => {
      const issuer = newUrl();
      const defaults = ISSUER_PROFILES[profile](issuer);
      const value = defaults.tenantClaim === null ? {} : { tenantValue: "org_1" };
      const answer = await add("acme", { issuer, profile, jwksUri: JWKS, ...value });
      expect(answer.status).toBe(201);
      expect(answer.body).toMatchObject({ ...defaults, profile });
      expect((await server.snapshot("acme")).issuers).toMatchObject([defaults]);
    },
  );

  it("takes what is sent in place of the profile's", async () => {
    const sent = {
      audience: "api://acme",
      otherAudiences: ["account"],
      tenantClaim: "org",
      tenantClaimForm: "single",
      tenantValue: " Ünï ",
      scopeClaims: [],
      rolesClaim: ["a", "b"],
      algorithms: ["ES256"],
      tokenType: "absent",
      maxLifetimeSeconds: 86_400,
    };
    const answer = await add("acme", { issuer: newUrl(), profile: "keycloak", jwksUri: JWKS, ...sent });
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject(sent);
    expect((await server.snapshot("acme")).issuers).toMatchObject([sent]);
    const none = await add("acme", own({ profile: "keycloak", rolesClaim: null }));
    expect(none.body).toMatchObject({ rolesClaim: null, tenantClaim: null, tenantValue: null });
  });

  it("is also a tenant administrator's, whose act it is", async () => {
    const answer = await server.callAs("acme", "POST", "/tenants/acme/issuers", own());
    expect(answer.status).toBe(201);
    expect(server.takeActs()).toMatchObject([{ actor: ADMINISTRATOR, target: answer.body.id }]);
  });

  it.each([
    ["the tenant's own", "http://127.0.0.1:8787/t/acme/mcp"],
    ["the shared one", "http://127.0.0.1:8787/mcp"],
    ["one of the provider's own", "https://127.0.0.1.example/t/globex/mcp"],
    ["no URL", "8f2c9a1e-api"],
  ])("takes the audience that is %s", async (_, audience) => {
    expect((await add("acme", own({ audience }))).body).toMatchObject({ audience });
  });

  it.each([
    ["another tenant's resource", { audience: "http://127.0.0.1:8787/t/globex/mcp" }, "audience"],
    ["that in other letters", { audience: "HTTP://127.0.0.1:8787/t/globex/mcp" }, "audience"],
    ["a resource of nobody's yet", { audience: "http://127.0.0.1:8787/t/nobody/mcp" }, "audience"],
    ["the server itself", { audience: "http://127.0.0.1:8787" }, "audience"],
    [
      "one beside it that is ours",
      { otherAudiences: ["x", "http://127.0.0.1:8787/mcp"] },
      "otherAudiences.1",
    ],
  ])("refuses the audience that is %s", async (_, more, path) => {
    const answer = await add("acme", own(more));
    expect([answer.status, answer.body.code]).toEqual([400, "input_invalid"]);
    expect(errorPaths(answer)).toEqual([path]);
  });

  it("is refused where a claim has no value, or a value no claim", async () => {
    const without = { issuer: newUrl(), jwksUri: JWKS };
    expect(errorPaths(await add("acme", without))).toEqual(["tenantValue"]);
    expect(errorPaths(await add("acme", { ...without, tenantClaim: "org" }))).toEqual(["tenantValue"]);
    expect(errorPaths(await add("acme", { ...without, profile: "okta", tenantValue: "x" }))).toEqual([
      "tenantClaim",
    ]);
    expect(errorPaths(await add("acme", { ...without, tenantClaim: null, tenantValue: "x" }))).toEqual([
      "tenantClaim",
    ]);
  });

  it("is refused for a tenant that is not there", async () => {
    for (const name of ["nobody", "tnt_00000000000000000000000000", "NOBODY"]) {
      expect((await add(name, own())).body).toMatchObject({ status: 404, code: "tenant_not_found" });
    }
  });

  it("is refused beyond 20 issuers", async () => {
    for (let i = 0; i < 20; i++) expect((await add("acme", own())).status).toBe(201);
    expect((await add("acme", own())).body).toMatchObject({ status: 409, code: "too_many" });
    expect((await add("globex", own())).status).toBe(201);
  });
});

describe("an issuer that cannot be registered", () => {
  it("is refused in the same words whichever other has it, and without asking it anything", async () => {
    const [taken, broker, development] = [newUrl(), newUrl(), newUrl()];
    await add("globex", own({ issuer: taken }));
    await server.call("POST", "/brokers", { body: own({ issuer: broker, tenantClaim: "org" }) });
    await server.database.admin(
      "INSERT INTO bulkhead.issuers (id, issuer, jwks_uri, tenant_claim, development) VALUES ('iss_00000000000000000000000001', $1, 'x', 'tenant_id', true)",
      [development],
    );
    const reserved = "http://127.0.0.1:8787/issuers/later";
    const inDevelopment = await startIdentityServer({ allowLoopback: true });
    try {
      const answers = [
        await server.callAs("acme", "POST", "/tenants/acme/issuers", { issuer: taken, tenantClaim: null }),
        await server.callAs("acme", "POST", "/tenants/acme/issuers", { issuer: broker, tenantValue: "x" }),
        await server.callAs("acme", "POST", "/tenants/acme/issuers", { issuer: broker, tenantClaim: null }),
        await add("acme", { issuer: development, tenantValue: "x" }),
        await inDevelopment.call("POST", "/tenants/acme/issuers", { body: own({ issuer: reserved }) }),
      ].map(withoutOperation);
      const asBrokers = [
        await inDevelopment.call("POST", "/brokers", { body: own({ issuer: reserved, tenantClaim: "x" }) }),
        await server.call("POST", "/brokers", { body: own({ issuer: broker, tenantClaim: "org" }) }),
      ].map(withoutOperation);
      const detail = "This issuer cannot be declared as a broker.";
      expect(asBrokers[0]).toMatchObject({ status: 409, rest: { code: "issuer_refused", detail } });
      expect(asBrokers[1]).toEqual(asBrokers[0]);
      expect(answers[0]).toMatchObject({ status: 409, rest: { code: "issuer_refused" } });
      for (const answer of answers) expect(answer).toEqual(answers[0]);
    } finally {
      await inDevelopment.stop();
    }
    expect(server.fetched).toEqual([]);
  });
});

describe("an issuer that a tenant has", () => {
  const heldBy = (slug: string) => ({
    status: 409,
    code: "issuer_refused",
    title: "This issuer cannot be registered for this tenant.",
    detail: `This issuer is registered for the tenant ${slug}.`,
  });

  it("is refused to the operator with that tenant's name, to tenants without", async () => {
    const issuer = newUrl();
    await server.callAs("globex", "POST", "/tenants/globex/issuers", own({ issuer }));
    const body = own({ issuer });
    expect((await add("acme", body)).body).toMatchObject(heldBy("globex"));
    const mine = "This issuer is already registered for this tenant.";
    expect((await add("globex", body)).body).toMatchObject({ code: "issuer_refused", detail: mine });
    const broker = await server.call("POST", "/brokers", { body: { ...body, tenantClaim: "org" } });
    expect(broker.body).toMatchObject(heldBy("globex"));
    for (const tenant of ["acme", "globex"]) {
      const answer = await server.callAs(tenant, "POST", `/tenants/${tenant}/issuers`, body);
      expect(answer.body).toMatchObject({ status: 409, code: "issuer_refused" });
      expect(JSON.stringify(answer.body)).not.toContain("globex");
      expect(answer.body.detail === mine).toBe(tenant === "globex");
    }
    expect(JSON.stringify(server.events)).not.toContain("registered for the tenant");
  });

  it("is refused with its name also where it was the faster of two", async () => {
    for (let i = 0; i < 10; i++) {
      const body = own();
      const [acme, globex] = await Promise.all([add("acme", body), add("globex", body)]);
      const [refused, winner] = acme.status === 201 ? [globex, "acme"] : [acme, "globex"];
      expect(refused.body).toMatchObject(heldBy(winner));
      await server.database.admin("DELETE FROM bulkhead.issuers");
    }
  });
});

describe("an issuer's keys", () => {
  it("are found through its metadata where nothing says where they are", async () => {
    const issuer = newUrl();
    server.metadata.set(`${issuer}.well-known/openid-configuration`, {
      issuer,
      jwks_uri: `${issuer}keys?v=2`,
    });
    const answer = await add("acme", { issuer, tenantClaim: null });
    expect(answer.body).toMatchObject({ jwksUri: `${issuer}keys?v=2` });
    expect(server.fetched.length).toBeGreaterThan(0);
  });

  it.each([
    ["are another issuer's", { issuer: "https://other.example/", jwks_uri: "https://other.example/keys" }],
    ["lead to this machine", { jwks_uri: "https://localhost/keys" }],
    ["lead past TLS", { jwks_uri: "http://keys.example/keys" }],
    ["lead nowhere", { jwks_uri: ["https://keys.example/keys"] }],
  ])("are not taken from metadata that %s", async (_, document) => {
    const issuer = newUrl();
    server.metadata.set(`${issuer}.well-known/oauth-authorization-server`, { issuer, ...document });
    const answer = await add("acme", { issuer, tenantClaim: null });
    expect([answer.status, errorPaths(answer)]).toEqual([400, ["issuer"]]);
    expect((await server.snapshot("acme")).issuers).toEqual([]);
  });

  it("of metadata of another issuer: the operator is told which, nobody to send the keys by hand", async () => {
    const issuer = newUrl();
    server.metadata.set(`${issuer}.well-known/oauth-authorization-server`, {
      issuer: "https://other.example/",
      jwks_uri: "https://other.example/keys",
    });
    const body = { issuer, tenantClaim: null };
    const told = String((await add("acme", body)).body.detail);
    expect(told).toContain("another issuer, https://other.example/");
    const untold = await server.callAs("acme", "POST", "/tenants/acme/issuers", body);
    expect(String(untold.body.detail)).toContain("those of another issuer");
    expect(JSON.stringify(untold.body)).not.toContain("other.example");
    for (const detail of [told, String(untold.body.detail)]) expect(detail).not.toContain("send jwksUri");
    const absent = { issuer: newUrl(), tenantClaim: null };
    expect(String((await add("acme", absent)).body.detail)).toContain("; send jwksUri");
  });

  it("of a host with a private address: the operator is told what allows it, a tenant not even that it has one", async () => {
    const inside = await startIdentityServer({ privateAddresses: true });
    try {
      const body = { issuer: newUrl(), tenantClaim: null };
      const told = await inside.call("POST", "/tenants/acme/issuers", { body });
      expect(String(told.body.detail)).toContain("--allow-private-host");
      expect(String(told.body.detail)).not.toContain("send jwksUri");
      const untold = await inside.callAs("acme", "POST", "/tenants/acme/issuers", body);
      const absent = await server.callAs("acme", "POST", "/tenants/acme/issuers", body);
      expect(withoutOperation(untold)).toEqual(withoutOperation(absent));
    } finally {
      await inside.stop();
    }
  });

  it("are missing for a reason that the operator is told, and a tenant's administrator is not", async () => {
    const body = { issuer: newUrl(), tenantClaim: null };
    expect(String((await add("acme", body)).body.detail)).toContain("10.9.8.7");
    server.events.length = 0;
    const answer = await server.callAs("acme", "POST", "/tenants/acme/issuers", body);
    expect(errorPaths(answer)).toEqual(["issuer"]);
    expect(JSON.stringify(answer.body)).not.toContain("10.9.8.7");
    expect(String(server.takeActs()[0]?.cause)).toContain("10.9.8.7");
  });
});

describe("a client's secret", () => {
  it("is kept sealed for its registration, and in no answer, event or row", async () => {
    const created = await add("acme", own({ jwksUri: undefined, introspection: CLIENT }));
    expect(created.body).toMatchObject({
      jwksUri: null,
      introspection: { endpoint: CLIENT.endpoint, clientId: CLIENT.clientId },
    });
    expect(server.fetched).toEqual([]);
    const [trusted] = (await server.snapshot("acme")).issuers;
    const sealed = Buffer.from(trusted?.introspection?.sealedSecret ?? "", "base64");
    expect(server.box.open(sealed, `issuer ${String(created.body.id)}`)).toBe(CLIENT.clientSecret);
    expect(server.box.open(sealed, "issuer iss_00000000000000000000000000")).toBeNull();

    const answers = [
      created,
      await server.call("GET", "/tenants/acme/issuers"),
      await add("acme", own({ introspection: CLIENT })),
      await add("acme", own({ introspection: { ...CLIENT, endpoint: "http://x" } })),
      await add("acme", own({ introspection: { ...CLIENT, [CLIENT.clientId]: CLIENT.clientSecret } })),
      await server.call("DELETE", `/tenants/acme/issuers/${String(created.body.id)}`),
    ];
    expect(answers.map((answer) => answer.status)).toEqual([201, 200, 409, 400, 400, 200]);
    const told = JSON.stringify([answers.map((answer) => answer.body), server.events]);
    for (const form of [CLIENT.clientSecret, sealed.toString("base64"), sealed.toString("hex")]) {
      expect(told).not.toContain(form);
    }
    const hex = Buffer.from(CLIENT.clientSecret).toString("hex");
    expect(await server.tablesWith(CLIENT.clientSecret, hex)).toEqual([]);
  });

  it("is refused where the deployment has no master key, and nothing is registered", async () => {
    const keyless = await startIdentityServer({ masterKey: false });
    try {
      const answer = await keyless.call("POST", "/tenants/acme/issuers", {
        body: own({ introspection: CLIENT }),
      });
      expect(answer.body).toMatchObject({ status: 409, code: "master_key_missing" });
      expect((await keyless.snapshot("acme")).issuers).toEqual([]);
      expect((await keyless.call("POST", "/tenants/acme/issuers", { body: own() })).status).toBe(201);
    } finally {
      await keyless.stop();
    }
  });
});

describe("a tenant's issuers", () => {
  it("are listed to it in order of creation, page by page, and to nobody else", async () => {
    const created: unknown[] = [];
    for (let i = 0; i < 5; i++) created.push((await add("acme", own())).body);
    await add("globex", own());
    const pages = await allPages(server, "/tenants/acme/issuers", 2);
    expect(pages.map((page) => page.length)).toEqual([2, 2, 1]);
    expect(pages.flat()).toEqual(created);
    const seen = await server.callAs("acme", "GET", "/tenants/acme/issuers");
    expect(seen.body.items).toEqual(created);
    expect((await server.callAs("acme", "GET", "/tenants/globex/issuers")).status).toBe(404);
    expect((await server.call("GET", "/tenants/nobody/issuers")).body).toMatchObject({
      code: "tenant_not_found",
    });
  });

  it("are removed one by one, and can then be another's", async () => {
    const { body } = await add("acme", own());
    const changes = server.changes();
    server.events.length = 0;
    const answer = await server.callAs("acme", "DELETE", `/tenants/acme/issuers/${String(body.id)}`);
    expect([answer.status, answer.body]).toEqual([200, body]);
    expect(server.changes()).toBe(changes + 1);
    expect(server.takeActs()).toMatchObject([{ action: "issuers.delete", target: body.id, outcome: "ok" }]);
    expect((await server.snapshot("acme")).issuers).toEqual([]);
    expect((await add("globex", own({ issuer: body.issuer }))).status).toBe(201);
  });

  it("of another tenant answer as those that do not exist", async () => {
    const { body } = await add("globex", own());
    const unknown = withoutOperation(
      await server.call("DELETE", "/tenants/acme/issuers/iss_00000000000000000000000000"),
    );
    expect(unknown).toMatchObject({ status: 404, rest: { code: "issuer_not_found" } });
    for (const id of [String(body.id), "x", "iss_", "ISS_00000000000000000000000000", "a%00b"]) {
      expect(withoutOperation(await server.call("DELETE", `/tenants/acme/issuers/${id}`))).toEqual(unknown);
      expect(withoutOperation(await server.callAs("acme", "DELETE", `/tenants/acme/issuers/${id}`))).toEqual(
        unknown,
      );
    }
    expect((await server.snapshot("globex")).issuers).toHaveLength(1);
  });
});

describe("at the same time", () => {
  it("20 registrations of one issuer for two tenants succeed once", async () => {
    const body = own();
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => add(i % 2 === 0 ? "acme" : "globex", body)),
    );
    expect(answers.filter((answer) => answer.status === 201)).toHaveLength(1);
    expect(new Set(answers.map((answer) => answer.body.code))).toEqual(
      new Set([undefined, "issuer_refused"]),
    );
    const rows = await server.database.admin("SELECT 1 FROM bulkhead.issuers WHERE issuer = $1", [
      body.issuer,
    ]);
    expect(rows).toHaveLength(1);
  });

  it("registrations never pass 20, nor one that introspects", async () => {
    const introspecting = await Promise.all(
      Array.from({ length: 6 }, () => add("acme", own({ introspection: CLIENT }))),
    );
    expect(introspecting.filter((answer) => answer.status === 201)).toHaveLength(1);
    expect(introspecting.filter((answer) => answer.body.code === "too_many")).toHaveLength(5);
    const more = await Promise.all(Array.from({ length: 30 }, () => add("acme", own())));
    expect(more.filter((answer) => answer.status === 201)).toHaveLength(19);
    expect((await server.snapshot("acme")).issuers).toHaveLength(20);
  });
});
