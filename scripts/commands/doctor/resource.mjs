// Checks the metadata of the resource.
import { ask, isJson } from "./http.mjs";
import { isProtected, isUrl, shaped, show, wellKnown } from "./requests.mjs";

/** Checks the metadata of the resource (RFC 9728). Returns the issuers that it names. */
export async function resource({ url, token, error, warn, facts }) {
  const places = wellKnown(url, "oauth-protected-resource");
  const wanted = [...new Set([facts.metadata, ...places].filter(Boolean))];
  const answers = new Map();
  for (const place of wanted)
    answers.set(place, await ask(place, { headers: { accept: "application/json" } }));
  const good = (answer) => answer && !answer.failed && answer.status === 200 && answer.json !== undefined;
  if (facts.metadata && !good(answers.get(facts.metadata))) {
    const { status, failed } = answers.get(facts.metadata);
    error(
      "resource-metadata-missing",
      "resource",
      `the metadata at ${facts.metadata}, which the challenge names, cannot be read: ${failed?.words ?? `status ${status}, or not JSON`}`,
      "serve the document at that URL (RFC 9728 §3.2), without a token and without redirects",
    );
  }
  const answer = [...answers.values()].find(good);
  if (answer === undefined && facts.realm !== undefined) {
    // Clients that are configured with a credential need no login.
    const note = token === undefined ? error : warn;
    note(
      "no-login",
      "resource",
      "the resource has no login: the challenge names no metadata, and there is none at the well-known URLs",
      "configure a credential in each client, or configure an issuer for the resource at which MCP clients can log in",
    );
    return [];
  }
  if (!good(answers.get(places[0]))) {
    warn(
      "resource-metadata-place",
      "resource",
      `there is no metadata at ${places[0]}, where clients look that do not read the challenge`,
      "serve the metadata at this URL too (RFC 9728 §3.1)",
    );
  }
  if (answer === undefined) {
    if (!facts.metadata)
      error(
        "no-metadata",
        "resource",
        "there is no resource metadata",
        "serve RFC 9728 metadata: without it no client finds the authorization server",
      );
    return [];
  }
  if (!isJson(answer)) {
    error(
      "resource-metadata-type",
      "resource",
      `the media type of the resource metadata is ${show(answer.headers.get("content-type"))}`,
      "send application/json (RFC 9728 §3.2)",
    );
  }
  if (answer.headers.get("access-control-allow-origin") === null) {
    warn(
      "resource-metadata-cors",
      "browser",
      "pages cannot read the resource metadata",
      "send Access-Control-Allow-Origin: * with it",
    );
  }
  const metadata = shaped(answer.json, answer.url, "resource", error);
  if (metadata.resource !== url) {
    const slash = metadata.resource?.replace(/\/$/, "") === url.replace(/\/$/, "");
    if (slash) {
      error(
        "resource-slash",
        "resource",
        `resource is ${show(metadata.resource)}, and clients use ${show(url)}: they differ in the slash at the end`,
        "make both identical, byte for byte: clients discard metadata of another resource (RFC 9728 §3.3)",
      );
    } else {
      error(
        "resource-differs",
        "resource",
        `resource is ${show(metadata.resource)}, and clients use ${show(url)}`,
        "set public_url and path to the URL that clients use: they discard metadata of another resource (RFC 9728 §3.3)",
      );
    }
  }
  const issuers = metadata.authorization_servers;
  if (!Array.isArray(issuers) || issuers.length === 0) {
    error(
      "no-authorization-server",
      "resource",
      "the resource metadata names no authorization server",
      "name one in issuers; MCP clients cannot log in at Google or Cloudflare Access directly",
    );
    return [];
  }
  for (const issuer of issuers.filter((it) => !isUrl(it) || !isProtected(it))) {
    error(
      "issuer-form",
      "resource",
      `authorization_servers contains ${show(issuer)}`,
      "name an authorization server by an https URL (RFC 9728 §2)",
    );
  }
  if (metadata.bearer_methods_supported && !metadata.bearer_methods_supported.includes("header")) {
    error(
      "bearer-methods",
      "resource",
      `bearer_methods_supported does not contain "header"`,
      'add "header" to it: MCP clients send tokens in no other way',
    );
  }
  const offered = metadata.scopes_supported;
  const asked = facts.scope?.split(" ") ?? [];
  if (Array.isArray(offered) && asked.some((scope) => !offered.includes(scope))) {
    warn(
      "scopes-differ",
      "resource",
      `the challenge has the scopes ${show(facts.scope)}, and scopes_supported has ${show(offered.join(" "))}`,
      "name the same scopes in both: some clients request the scopes of the challenge, others those of the metadata",
    );
  }
  if ([...asked, ...(offered ?? [])].includes("offline_access")) {
    warn(
      "offline-access",
      "resource",
      "the challenge or scopes_supported names offline_access",
      "leave offline_access to the client and the authorization server (R11): otherwise each login asks the user for it",
    );
  }
  return issuers.filter((it) => isUrl(it) && isProtected(it)).slice(0, 4);
}
