import { expect, test } from "vitest";
import { buttonsOf, locationOf, openBrowser } from "../../support/oauth-browser.ts";
import {
  ada,
  authorizeUrl,
  begin,
  DOCUMENT_CLIENT,
  pkce,
  REDIRECT,
  register,
} from "./running-authorization-server.ts";
import { useAuthorizationServer } from "./use-authorization-server.ts";

const server = useAuthorizationServer();

const choose = (account: string, headers: Record<string, string> = {}) => ({
  method: "POST",
  body: new URLSearchParams({ account }),
  headers,
});

test("says who asks, for what, and where it is answered, and escapes all of it", async () => {
  const { open, url } = await begin(server().issuers.acme, { scope: "tickets:read tickets:write" });
  const html = await (await open(url)).text();
  const text = html.replace(/<style>.*<\/style>|<[^>]*>/gs, " ").replace(/\s+/g, " ");
  expect(text).toContain("Who asks Test &#60;b&#62;");
  expect(text).toContain(`For what ${server().issuers.acme.resource} tickets:read , tickets:write`);
  expect(text).toContain(`Where it is answered ${REDIRECT}`);
  expect(html).not.toContain("<script");
  expect(html).not.toContain("<b>");
});

test("names a client by the address of its document, whatever name that gives itself", async () => {
  const open = openBrowser();
  const started = await open(
    authorizeUrl(server().issuers.acme, { client_id: DOCUMENT_CLIENT, code_challenge: pkce().challenge }),
  );
  const html = await (await open(locationOf(started).href)).text();
  expect(html).toContain("Document");
  expect(html).toContain(DOCUMENT_CLIENT);
});

test("has a button for each user with what they may do, in a form of its own name, and loads nothing", async () => {
  const { open, url } = await begin(server().issuers.acme);
  const page = await open(url);
  const html = await page.text();
  expect([...buttonsOf(html)]).toEqual([
    ["Ada <script> of Acme may: tickets:read, tickets:write", { name: "account", value: "ada" }],
    ["Bob of Acme may: tickets:read", { name: "account", value: "bob" }],
    ["Nobody of Acme may: nothing", { name: "account", value: "nobody" }],
    ["Cancel", { name: "cancel", value: "yes" }],
  ]);
  // What a screen reader goes by: the language, one main part with one heading, and the form's label.
  expect(html).toContain('<html lang="en">');
  expect(html.match(/<main>|<h1>/g)).toEqual(["<main>", "<h1>"]);
  const label = /<form method="post" aria-labelledby="([^"]+)">/.exec(html)?.[1];
  expect(html).toContain(`<h2 id="${label}">Who are you?</h2>`);
  expect(html).not.toMatch(/(?:src|href)=|@import|url\(|tabindex|autofocus/);
  expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
  expect(page.headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
  expect(page.headers.get("cache-control")).toBe("no-store");
});

test("counts only with the cookie of this authorization, and from our own origin", async () => {
  const { open, url } = await begin(server().issuers.acme);
  const other = await begin(server().issuers.acme);
  const account = ada.subject;
  expect((await openBrowser()(url)).status).toBe(400);
  expect((await openBrowser()(url, choose(account))).status).toBe(400);
  expect((await other.open(url, choose(account))).status).toBe(400);
  expect((await open(url, choose(account, { origin: "https://evil.example" }))).status).toBe(403);
  expect((await open(url, choose(account, { origin: "null" }))).status).toBe(403);
  expect((await open(url, choose("globexAda"))).status).toBe(400);
  expect((await open(url, choose("x".repeat(5000)))).status).toBe(413);
  expect((await open(url, { method: "DELETE" })).status).toBe(405);
  expect((await open(url, choose(account, { origin: server().baseUrl }))).status).toBe(303);
});

test("does not count with the cookie of another sign-in, whoever has set it for this address", async () => {
  const { open, url } = await begin(server().issuers.acme);
  const clientId = String((await register(server().issuers.acme)).client_id);
  const other = await fetch(
    authorizeUrl(server().issuers.acme, { client_id: clientId, code_challenge: pkce().challenge }),
    { redirect: "manual" },
  );
  const cookie = other.headers
    .getSetCookie()
    .map((line) => line.split(";")[0])
    .join("; ");
  const press = (address: string) =>
    fetch(address, { ...choose(ada.subject, { cookie }), redirect: "manual" });
  expect((await press(url)).status).toBe(400);
  expect((await press(locationOf(other).href)).status).toBe(303);
  expect((await open(url)).status).toBe(200);
});

test("can be cancelled", async () => {
  const { open, url } = await begin(server().issuers.acme);
  const cancelled = await open(url, { method: "POST", body: new URLSearchParams({ cancel: "yes" }) });
  const finished = await open(locationOf(cancelled).href);
  expect(locationOf(finished).searchParams.get("error")).toBe("access_denied");
});

test("goes on where it was after the server has started again", async () => {
  const { open, url } = await begin(server().issuers.acme);
  server().restart();
  expect((await open(url)).status).toBe(200);
  const chosen = await open(url, choose(ada.subject, { origin: server().baseUrl }));
  server().restart();
  const finished = await open(locationOf(chosen).href);
  expect(locationOf(finished).searchParams.get("code")).toEqual(expect.any(String));
});

test("takes what a client may send and PostgreSQL cannot keep as text", async () => {
  const { open, url } = await begin(server().issuers.acme, { state: "a\u0000b" });
  const chosen = await open(url, choose(ada.subject, { origin: server().baseUrl }));
  const finished = await open(locationOf(chosen).href);
  expect(locationOf(finished).searchParams.get("state")).toBe("a\u0000b");
});
