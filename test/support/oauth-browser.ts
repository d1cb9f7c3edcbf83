import { expect } from "vitest";

/** Opens a page as a browser without script does, with the cookies that it was given. */
export type Browser = (url: string, init?: RequestInit) => Promise<Response>;

/** A browser of its own: cookies with their paths, no redirects followed. Expects what every cookie here must be. */
export function openBrowser(): Browser {
  const jar = new Map<string, { value: string; path: string }>();
  return async (url, init = {}) => {
    const { pathname } = new URL(url);
    const cookie = [...jar]
      .filter(([, one]) => pathname.startsWith(one.path))
      .map(([name, one]) => `${name.split(" ")[0]}=${one.value}`);
    const response = await fetch(url, {
      ...init,
      redirect: "manual",
      headers: { ...init.headers, cookie: cookie.join("; ") },
    });
    for (const line of response.headers.getSetCookie()) {
      const [pair = "", ...attributes] = line.split("; ");
      const [name = "", value = ""] = pair.split(/=(.*)/s);
      const path = attributes.find((one) => one.toLowerCase().startsWith("path="))?.slice(5) ?? "/";
      expect(line.toLowerCase()).toContain("httponly");
      expect(line.toLowerCase()).toContain("samesite=lax");
      expect(path.startsWith("/issuers/")).toBe(true);
      if (value === "") jar.delete(`${name} ${path}`);
      else jar.set(`${name} ${path}`, { value, path });
    }
    return response;
  };
}

/** Where a redirect leads. */
export function locationOf(response: Response): URL {
  return new URL(response.headers.get("location") ?? "", response.url);
}

/** What a person can press on a page: each button's name and value, by its text. */
export function buttonsOf(html: string): Map<string, { readonly name: string; readonly value: string }> {
  return new Map(
    [...html.matchAll(/<button name="([^"]*)" value="([^"]*)">(.*?)<\/button>/gs)].map(
      ([, name = "", value = "", inner = ""]) => [
        unescaped(inner.replace(/<[^>]*>/g, " "))
          .replace(/\s+/g, " ")
          .trim(),
        { name: unescaped(name), value: unescaped(value) },
      ],
    ),
  );
}

function unescaped(text: string): string {
  return text.replace(/&#(\d+);/g, (_whole, code) => String.fromCharCode(Number(code)));
}

/**
 * Signs in as a person does: opens the address, reads the page, presses the first button whose text begins with `who`,
 * and goes where it leads until the client's own address is reached, which is not opened.
 */
export async function signInAs(
  who: string,
  authorizationUrl: string,
  open: Browser = openBrowser(),
): Promise<{ readonly html: string; readonly callback: URL }> {
  const started = await open(authorizationUrl);
  expect(started.status).toBe(303);
  const page = locationOf(started);
  const html = await (await open(page.href)).text();
  const button = [...buttonsOf(html)].find(([text]) => text.startsWith(who))?.[1];
  if (button === undefined) throw new TypeError(`The page has no button ${who}: ${html}`);
  const pressed = await open(page.href, {
    method: "POST",
    body: new URLSearchParams({ [button.name]: button.value }),
    headers: { origin: page.origin },
  });
  expect(pressed.status).toBe(303);
  const finished = await open(locationOf(pressed).href);
  expect(finished.status).toBe(303);
  return { html, callback: locationOf(finished) };
}
