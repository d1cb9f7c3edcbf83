import { DpopSession } from "@modelcontextprotocol/client";
import { decodeJwt } from "jose";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { ClientProgram, connectAs, newClient, openTransport } from "../support/oauth-client.ts";
import { startTestServer, type TestServer } from "../support/running-server.ts";

/** A client program that proves possession of a key (RFC 9449) wherever it shows a token. */
class ProvingProgram extends ClientProgram {
  readonly session = DpopSession.create();
  dpop = () => this.session;
}

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());
afterEach(() => vi.useRealTimers());

async function setMode(dpop: "off" | "allow" | "require"): Promise<void> {
  const changed = await server.admin("PATCH", "/tenants/acme", { dpop });
  expect(changed.status).toBe(200);
}

describe("the official client that proves possession of a key", () => {
  test.each(["allow", "require"] as const)("signs in and calls a tool where it is %s", async (mode) => {
    await setMode(mode);
    const program = new ProvingProgram();
    const { client } = await connectAs("Ada Marsh of", server.acme.mcp, program);
    expect(program.stored).toMatchObject({ token_type: "DPoP" });
    const { thumbprint } = await program.session;
    expect(decodeJwt(program.stored?.access_token ?? "").cnf).toEqual({ jkt: thumbprint });
    expect((await client.callTool({ name: "search_tickets", arguments: {} })).isError).not.toBe(true);

    // Renewed with the same key.
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 6 * 60_000 });
    const before = program.stored?.access_token;
    expect((await client.callTool({ name: "search_tickets", arguments: {} })).isError).not.toBe(true);
    expect(program.stored?.access_token).not.toBe(before);
    expect(decodeJwt(program.stored?.access_token ?? "").cnf).toEqual({ jkt: thumbprint });
    await client.close();
  });

  test("its token is worth nothing without the key", async () => {
    await setMode("allow");
    const program = new ProvingProgram();
    const { client } = await connectAs("Ada Marsh of", server.acme.mcp, program);
    await client.close();
    for (const scheme of ["Bearer", "DPoP"]) {
      const response = await fetch(server.acme.mcp, {
        method: "POST",
        headers: { authorization: `${scheme} ${program.stored?.access_token}` },
      });
      expect(response.status).toBe(401);
    }
  });
});

test("where a key is required, what a client without one was given counts no more, and nor does what it renews", async () => {
  await setMode("allow");
  const program = new ClientProgram();
  const { client } = await connectAs("Ada Marsh of", server.acme.mcp, program);
  await client.close();
  await setMode("require");
  const { transport, exchanges } = openTransport(server.acme.mcp, program);
  await expect(newClient().connect(transport)).rejects.toThrow();
  expect(exchanges).toEqual(["POST /t/acme/mcp 401", "POST /issuers/acme/token 200", "POST /t/acme/mcp 401"]);
});
