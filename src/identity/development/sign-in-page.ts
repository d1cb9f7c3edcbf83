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
  readonly redirectUri: string;
  readonly scope: string;
}): string {
  const tenants = new Map(of.issuer.tenants.map((tenant) => [tenant.id, tenant]));
  const choices = [...accountsOf(of.issuer)].map(([account, user]) => {
    const tenant = tenants.get(user.tenantId)?.name ?? "";
    const permissions = user.permissions.length > 0 ? user.permissions.join(", ") : "no permissions";
    return `<button name="account" value="${escapeHtml(account)}">
      <strong>${escapeHtml(user.name)}</strong> <span>${escapeHtml(tenant)}</span><small>${escapeHtml(permissions)}</small>
    </button>`;
  });
  return page(
    "Sign in",
    `<p><strong>${escapeHtml(of.clientName)}</strong> asks to act for you${of.scope === "" ? "" : ` (${escapeHtml(of.scope)})`}
    and will be answered at <code>${escapeHtml(of.redirectUri)}</code>.</p>
    <p>This is a development server: choose who you are.</p>
    <form method="post">${choices.join("\n")}<button name="cancel" value="yes">Cancel</button></form>`,
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
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 4rem auto; padding: 0 1rem; }
  button { display: block; width: 100%; margin: .6rem 0; padding: .7rem 1rem; font: inherit; text-align: left; cursor: pointer; }
  button span { opacity: .7; } button small { display: block; } code { overflow-wrap: anywhere; }
</style></head>
<body><h1>${title}</h1>${body}</body>
</html>`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
