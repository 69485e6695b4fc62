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
      `${facts.metadata}, where the challenge sends clients: ${failed?.words ?? `status ${status}, or no JSON`}`,
      "serve the document there (RFC 9728 §3.2), without a token and without redirects",
    );
  }
  const answer = [...answers.values()].find(good);
  if (answer === undefined && facts.realm !== undefined) {
    // Clients that are configured with a credential need no login.
    const note = token === undefined ? error : warn;
    note(
      "no-login",
      "resource",
      "it has no login: its challenge leads to no metadata, and there is none",
      "put a credential into each client's configuration, or give the resource an issuer to which clients can be sent",
    );
    return [];
  }
  if (!good(answers.get(places[0]))) {
    warn(
      "resource-metadata-place",
      "resource",
      `nothing is at ${places[0]}, where clients look that do not read the challenge`,
      "serve the metadata before the path, too (RFC 9728 §3.1)",
    );
  }
  if (answer === undefined) {
    if (!facts.metadata)
      error(
        "no-metadata",
        "resource",
        "there is no resource metadata at all",
        "serve RFC 9728 metadata: without it no client finds the authorization server",
      );
    return [];
  }
  if (!isJson(answer)) {
    error(
      "resource-metadata-type",
      "resource",
      `its metadata is ${show(answer.headers.get("content-type"))}`,
      "send application/json (RFC 9728 §3.2)",
    );
  }
  if (answer.headers.get("access-control-allow-origin") === null) {
    warn(
      "resource-metadata-cors",
      "browser",
      "pages cannot read its metadata",
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
        `resource is ${show(metadata.resource)}, and clients use ${show(url)}: a slash more or less`,
        "make both the same, byte for byte: clients discard metadata of another resource (RFC 9728 §3.3)",
      );
    } else {
      error(
        "resource-differs",
        "resource",
        `resource is ${show(metadata.resource)}, and not ${show(url)}`,
        "set public_url and path to what clients use: they discard metadata of another resource (RFC 9728 §3.3)",
      );
    }
  }
  const issuers = metadata.authorization_servers;
  if (!Array.isArray(issuers) || issuers.length === 0) {
    error(
      "no-authorization-server",
      "resource",
      "its metadata names no authorization server",
      "name one in issuers; Google and Access are none to which clients can be sent",
    );
    return [];
  }
  for (const issuer of issuers.filter((it) => !isUrl(it) || !isProtected(it))) {
    error(
      "issuer-form",
      "resource",
      `an authorization server is ${show(issuer)}`,
      "it must be an https URL (RFC 9728 §2)",
    );
  }
  if (metadata.bearer_methods_supported && !metadata.bearer_methods_supported.includes("header")) {
    error(
      "bearer-methods",
      "resource",
      "bearer_methods_supported has no header",
      "add it: MCP clients send tokens in no other way",
    );
  }
  const offered = metadata.scopes_supported;
  const asked = facts.scope?.split(" ") ?? [];
  if (Array.isArray(offered) && asked.some((scope) => !offered.includes(scope))) {
    warn(
      "scopes-differ",
      "resource",
      `the challenge asks for ${show(facts.scope)}, and scopes_supported has ${show(offered.join(" "))}`,
      "name the same in both: clients ask for one or the other",
    );
  }
  if ([...asked, ...(offered ?? [])].includes("offline_access")) {
    warn(
      "offline-access",
      "resource",
      "it asks for offline_access",
      "leave that to client and authorization server (R11): the user is asked for it at each login",
    );
  }
  return issuers.filter((it) => isUrl(it) && isProtected(it)).slice(0, 4);
}
