// Checks the requests of web pages.
import { ask } from "./http.mjs";
import { FIELDS, INITIALIZE, show } from "./requests.mjs";

/** Checks what a page of a foreign web origin gets, and, with `webOrigin`, a page of that one. */
export async function browser({ url, warn, error, webOrigin }) {
  const foreign = await ask(url, {
    method: "POST",
    headers: { ...FIELDS, origin: "https://portcullis-doctor.invalid" },
    body: JSON.stringify(INITIALIZE),
  });
  if (!foreign.failed && foreign.status !== 403 && foreign.status !== 401) {
    error(
      "foreign-origin",
      "probe",
      `a request from a page of an unknown web origin gets ${foreign.status}`,
      "answer 403 to a request from a web origin that you do not allow (T1)",
    );
  }
  if (webOrigin === undefined) return;
  const preflight = await ask(url, {
    method: "OPTIONS",
    headers: {
      origin: webOrigin,
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization,content-type,mcp-method,mcp-protocol-version",
    },
  });
  const allowed = preflight.headers?.get("access-control-allow-headers")?.toLowerCase() ?? "";
  if (
    preflight.failed ||
    preflight.status >= 300 ||
    preflight.headers.get("access-control-allow-origin") === null
  ) {
    error(
      "no-cors",
      "browser",
      `pages of ${webOrigin} cannot call the endpoint: the preflight request gets ${preflight.failed?.words ?? preflight.status}`,
      `add the web origin to allowed_origins`,
    );
  } else if (!allowed.includes("mcp-protocol-version") || !allowed.includes("authorization")) {
    error(
      "cors-fields",
      "browser",
      `pages cannot send all header fields of MCP; the preflight response allows ${show(allowed)}`,
      "allow the header fields Authorization and Mcp-*",
    );
  }
  const refused = await ask(url, {
    method: "POST",
    headers: { ...FIELDS, origin: webOrigin },
    body: JSON.stringify(INITIALIZE),
  });
  const exposed = refused.headers?.get("access-control-expose-headers")?.toLowerCase() ?? "";
  if (!refused.failed && refused.status === 401 && !exposed.includes("www-authenticate")) {
    warn(
      "cors-exposed",
      "browser",
      "pages cannot read the challenge",
      "expose the header fields WWW-Authenticate and Mcp-Session-Id",
    );
  }
}
