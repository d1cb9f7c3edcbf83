/**
 * Preloaded into a conformance suite, which cannot log in: gives every request to the server under test that carries
 * no credential the token of CONFORMANCE_TOKEN. What goes elsewhere stays as it is. JavaScript, because Node runs it
 * without a loader.
 */
import { subscribe } from "node:diagnostics_channel";

const { CONFORMANCE_SERVER: server = "", CONFORMANCE_TOKEN: token = "" } = process.env;
const { origin, host } = new URL(server);
const authorization = `Bearer ${token}`;

/** fetch, and undici's own request: `headers` is a list of names and values in turn. */
subscribe("undici:request:create", ({ request }) => {
  const isNamed = request.headers.some(
    (header, index) => index % 2 === 0 && header.toLowerCase() === "authorization",
  );
  if (new URL(request.origin).origin === origin && !isNamed)
    request.addHeader("authorization", authorization);
});

/** node:http. The Host header is what was asked for: the suite does not falsify it here. */
subscribe("http.client.request.created", ({ request }) => {
  if (request.getHeader("host") === host && !request.hasHeader("authorization"))
    request.setHeader("authorization", authorization);
});
