import { createServer } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createGuardedFetch } from "../../src/identity/guarded-fetch.ts";
import { isLoopbackAddress, isSpecialAddress } from "../../src/identity/private-addresses.ts";
import { type FakeIssuer, startFakeIssuer } from "./fake-issuer.ts";

const DEVELOPMENT = { allowLoopbackHttp: true, allowPrivateAddresses: false } as const;

let issuer: FakeIssuer;

beforeEach(async () => {
  issuer = await startFakeIssuer();
});
afterEach(() => issuer.close());

test("http is refused outside development, and in development for other machines", async () => {
  const strict = createGuardedFetch({ allowLoopbackHttp: false, allowPrivateAddresses: true });
  await expect(strict(`${issuer.origin}/jwks`)).rejects.toThrow("not https");
  const development = createGuardedFetch({ allowLoopbackHttp: true, allowPrivateAddresses: true });
  await expect(development("http://192.0.2.1/jwks")).rejects.toThrow("not public");
  await expect(development("file:///etc/passwd")).rejects.toThrow("not https");
  await expect(development("https://user:secret@example.com/jwks")).rejects.toThrow("credentials");
  expect(issuer.requests()).toBe(0);
});

test.each([
  "10.0.0.1",
  "127.0.0.1",
  "169.254.169.254",
  "[::1]",
  "[::ffff:10.0.0.1]",
  "[fd00::1]",
  "0x7f.1",
  "2130706433",
])("the private address %s is refused", async (host) => {
  const fetch = createGuardedFetch({ allowLoopbackHttp: false, allowPrivateAddresses: false });
  await expect(fetch(`https://${host}/jwks`)).rejects.toThrow("not public");
});

test("a name is refused when any of its addresses is private, unless the operator lists the name", async () => {
  const addresses = [
    { address: "93.184.216.34", family: 4 },
    { address: "127.0.0.1", family: 4 },
  ];
  const resolve = async () => addresses;
  const fetch = createGuardedFetch({
    allowLoopbackHttp: false,
    allowPrivateAddresses: ["idp.corp.example"],
    resolve,
  });
  await expect(fetch("https://idp.evil.example/jwks")).rejects.toThrow("not public");
  await expect(fetch("https://sub.idp.corp.example/jwks")).rejects.toThrow("not public");

  const inside = createGuardedFetch({
    allowLoopbackHttp: false,
    allowPrivateAddresses: ["idp.corp.example"],
    resolve: async () => [{ address: "127.0.0.1", family: 4 }],
  });
  const port = new URL(issuer.origin).port;
  // It is allowed to connect, and fails because this endpoint does not speak TLS.
  await expect(inside(`https://idp.corp.example:${port}/jwks`)).rejects.toThrow(/SSL|EPROTO|socket/i);
});

test.each([
  ["8.8.8.8", false],
  ["2606:4700::1111", false],
  ["::ffff:8.8.8.8", false],
  ["::ffff:192.168.1.1", true],
  ["::ffff:7f00:1", true],
  ["::ffff:0:7f00:1", true],
  ["::ffff:0:8.8.8.8", true],
  ["64:ff9b::7f00:1", true],
  ["2002:7f00:1::", true],
  ["::7f00:1", true],
  ["100.64.0.1", true],
  ["172.31.255.255", true],
  ["172.32.0.1", false],
  ["224.0.0.1", true],
  ["255.255.255.255", true],
  ["0.0.0.0", true],
  ["fe80::1%lo", true],
  ["example.com", true],
])("%s is special: %s", (address, special) => {
  expect(isSpecialAddress(address)).toBe(special);
  expect(isLoopbackAddress("::ffff:127.0.0.1")).toBe(true);
});

test("a GET asks for JSON, uncompressed, and nothing else goes with it", async () => {
  let seen: unknown;
  issuer.answer = (req, res) => {
    seen = { method: req.method, url: req.url, ...req.headers };
    res.end("{}");
  };
  await createGuardedFetch(DEVELOPMENT)(`${issuer.origin}/jwks?v=1`);
  expect(seen).toEqual({
    method: "GET",
    url: "/jwks?v=1",
    host: new URL(issuer.origin).host,
    accept: "application/json, application/jwk-set+json",
    "accept-encoding": "identity",
    connection: "close",
  });
});

test("a form is posted encoded, with the authorization given", async () => {
  const seen: unknown[] = [];
  issuer.answer = (req, res) => {
    const chunks: Buffer[] = [];
    req.on("data", (chunk) => chunks.push(chunk));
    req.on("end", () => {
      const { authorization, "content-type": type, "content-length": length } = req.headers;
      seen.push(req.method, authorization, type, length, Buffer.concat(chunks).toString());
      res.end('{"active":false}');
    });
  };
  const fetch = createGuardedFetch(DEVELOPMENT);
  const body = await fetch(issuer.origin, { form: { token: "a+b &c=ä" }, authorization: "Basic abc" });
  expect(Buffer.from(body).toString()).toBe('{"active":false}');
  expect(seen).toEqual([
    "POST",
    "Basic abc",
    "application/x-www-form-urlencoded",
    "25",
    "token=a%2Bb+%26c%3D%C3%A4",
  ]);
});

test("a redirect is not followed, so no form reaches another address", async () => {
  const other = await startFakeIssuer();
  for (const status of [301, 302, 303, 307, 308]) {
    issuer.answer = (_req, res) => res.writeHead(status, { location: other.origin }).end();
    await expect(createGuardedFetch(DEVELOPMENT)(issuer.origin, { form: { token: "t" } })).rejects.toThrow(
      `the answer has status ${status}`,
    );
  }
  expect(other.requests()).toBe(0);
  await other.close();
});

test("the whole exchange may take three seconds, not longer, though bytes keep coming", async () => {
  issuer.answer = (_req, res) => {
    const timer = setInterval(() => res.write(" "), 100);
    res.on("close", () => clearInterval(timer));
  };
  const started = performance.now();
  await expect(createGuardedFetch(DEVELOPMENT)(issuer.origin)).rejects.toThrow(
    "no whole answer within 3000 ms",
  );
  const elapsed = performance.now() - started;
  expect(elapsed).toBeGreaterThan(2900);
  expect(elapsed).toBeLessThan(3600);
});

test("a name that does not resolve in time ends as an answer that does not come", async () => {
  const fetch = createGuardedFetch({ ...DEVELOPMENT, timeoutMs: 50, resolve: () => new Promise(() => {}) });
  await expect(fetch("https://slow.example/jwks")).rejects.toThrow("no whole answer within 50 ms");
});

test("an answer may have 256 KB and not a byte more", async () => {
  const fetch = createGuardedFetch(DEVELOPMENT);
  issuer.answer = (_req, res) => res.end(Buffer.alloc(262_144, "x"));
  expect(await fetch(issuer.origin)).toHaveLength(262_144);
  issuer.answer = (_req, res) => res.end(Buffer.alloc(262_145, "x"));
  await expect(fetch(issuer.origin)).rejects.toThrow("the answer is over 256 KB");
});

test("an endless answer is cut off while it comes", async () => {
  let sent = 0;
  const closed = new Promise<void>((resolve) => {
    issuer.answer = (_req, res) => {
      const more = () => {
        while (!res.destroyed && res.write(Buffer.alloc(65_536))) sent += 65_536;
      };
      res.on("drain", more).on("close", () => resolve());
      more();
    };
  });
  await expect(createGuardedFetch(DEVELOPMENT)(issuer.origin)).rejects.toThrow("over 256 KB");
  await closed;
  expect(sent).toBeLessThan(64 * 1024 * 1024);
});

test("an error has neither what was sent nor what was answered in it", async () => {
  const server = createServer((socket) => {
    socket.on("error", () => {}).resume();
    socket.end("HTTP/1.1 200 OK\r\nsecret-answer\u0001: \u0001\r\n\r\n");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const error = await createGuardedFetch(DEVELOPMENT)(`http://127.0.0.1:${address.port}/`, {
    form: { token: "secret-token" },
    authorization: "Basic secret-client",
  }).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(Error);
  expect(Object.getOwnPropertyNames(error).sort()).toEqual(["message", "stack"]);
  expect((error as Error).message).not.toContain("secret");
  expect((error as Error).stack).not.toContain("secret");
  await new Promise((resolve) => server.close(resolve));
});

test("what is no URL is refused without being repeated", async () => {
  const fetch = createGuardedFetch(DEVELOPMENT);
  const error = await fetch("https://secret[").catch((caught: unknown) => caught);
  expect(error).toEqual(new Error("the address is not a URL"));
});
