import { accountsOf, type DevelopmentIssuer } from "./development-issuer.ts";

/** Headers of every page: nothing is loaded, nothing runs, and no other page may frame it. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-store",
  "content-security-policy":
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "same-origin",
};

/** The page on which one chooses as whom to sign in. It posts back to its own address. */
export function signInPage(of: {
  readonly issuer: DevelopmentIssuer;
  readonly clientName: string;
  readonly clientId: string;
  readonly redirectUri: string;
  readonly scope: string;
}): string {
  const { issuer } = of;
  const tenants = new Map(issuer.tenants.map((tenant) => [tenant.id, tenant]));
  const choices = [...accountsOf(issuer)].map(([account, user]) => {
    const tenant = tenants.get(user.tenantId)?.name ?? "";
    const permissions = user.permissions.length > 0 ? user.permissions.join(", ") : "nothing";
    return `<li><button name="account" value="${escapeHtml(account)}">
<strong>${escapeHtml(user.name)}</strong> of ${escapeHtml(tenant)}<small>may: ${escapeHtml(permissions)}</small></button></li>`;
  });
  const scopes = of.scope.split(" ").filter((scope) => scope !== "");
  return page(
    "Sign in",
    `<p>A program asks to act for you on this development server.</p>
<dl>
<dt>Who asks</dt><dd><strong>${escapeHtml(of.clientName)}</strong> <code>${escapeHtml(of.clientId)}</code></dd>
<dt>For what</dt><dd><code>${escapeHtml(issuer.resource)}</code><br>${
      scopes.length > 0
        ? scopes.map((scope) => `<code>${escapeHtml(scope)}</code>`).join(", ")
        : "no permission in particular"
    }</dd>
<dt>Where it is answered</dt><dd><code>${escapeHtml(of.redirectUri)}</code></dd>
</dl>
<h2 id="choose">Who are you?</h2>
<p>There are no passwords here. The program is given what it asks for, as far as the person you choose may do it.</p>
<form method="post" aria-labelledby="choose">
<ul>${choices.join("\n")}</ul>
<button name="cancel" value="yes">Cancel</button>
</form>`,
  );
}

/** A page that says what went wrong, in words that may be shown. */
export function problemPage(text: string): string {
  return page("That did not work", `<p>${escapeHtml(text)}</p>`);
}

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${title}</title>
<style>
  :root { color-scheme: light dark; }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 36rem; margin: 3rem auto; padding: 0 1rem; }
  dt { font-weight: bold; } dd { margin: 0 0 .6rem; } code { overflow-wrap: anywhere; }
  ul { list-style: none; margin: 0; padding: 0; }
  button { display: block; width: 100%; margin: .6rem 0; padding: .7rem 1rem; font: inherit; text-align: left; cursor: pointer; }
  button small { display: block; }
</style></head>
<body><main><h1>${title}</h1>
${body}</main></body>
</html>`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
