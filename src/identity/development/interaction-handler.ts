import type { IncomingMessage, ServerResponse } from "node:http";
import type { Interaction, Provider } from "oidc-provider";
import { accountsOf, type DevelopmentIssuer } from "./development-issuer.ts";
import { PAGE_HEADERS, problemPage, signInPage } from "./sign-in-page.ts";

/** A form that names one user. */
const MAX_FORM_BYTES = 4096;

/**
 * Serves the sign-in page of one authorization and takes its answer.
 *
 * Another site cannot answer for the person: the form counts only with the signed cookie of this very authorization,
 * which is SameSite=Lax and held against the unguessable id in the path, and from our own origin.
 */
export async function handleInteraction(of: {
  readonly issuer: DevelopmentIssuer;
  readonly provider: Provider;
  readonly uid: string;
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}): Promise<void> {
  const { issuer, provider, req, res } = of;
  const interaction = await openInteraction(provider, req, res);
  if (interaction === undefined || interaction.uid !== of.uid) {
    return answer(
      res,
      400,
      problemPage("This sign-in has expired, or was begun in another browser. Start again."),
    );
  }
  if (req.method === "GET" || req.method === "HEAD") {
    const { client_id: clientId, redirect_uri: redirectUri, scope } = interaction.params;
    const client = typeof clientId === "string" ? await provider.Client.find(clientId) : undefined;
    const html = signInPage({
      issuer,
      clientName: client?.clientName ?? "A program without a name",
      clientId: client?.clientId ?? "",
      redirectUri: typeof redirectUri === "string" ? redirectUri : "",
      scope: typeof scope === "string" ? scope : "",
    });
    return answer(res, 200, html);
  }
  if (req.method !== "POST") return answer(res, 405, problemPage("This address takes GET and POST."));
  const { origin } = req.headers;
  if (origin !== undefined && origin !== new URL(issuer.issuer).origin) {
    return answer(res, 403, problemPage("The form was sent from another site."));
  }
  const form = await readForm(req);
  if (form === undefined) return answer(res, 413, problemPage("The form is too large."));
  if (form.get("cancel") !== null) {
    const result = { error: "access_denied", error_description: "The person cancelled." };
    return provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false });
  }
  const accountId = form.get("account") ?? "";
  if (!accountsOf(issuer).has(accountId)) return answer(res, 400, problemPage("There is no such user."));
  const result = { login: { accountId, remember: false }, consent: {} };
  return provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false });
}

/** The authorization that the request's cookie names. The library throws where there is none. */
async function openInteraction(
  provider: Provider,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<Interaction | undefined> {
  try {
    return await provider.interactionDetails(req, res);
  } catch {
    return undefined;
  }
}

async function readForm(req: IncomingMessage): Promise<URLSearchParams | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_FORM_BYTES) return undefined;
    chunks.push(chunk);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString("utf8"));
}

function answer(res: ServerResponse, status: number, html: string): void {
  res.writeHead(status, PAGE_HEADERS).end(html);
}
