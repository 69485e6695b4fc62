// The requests that the walk sends, and the locations of metadata documents.
export const MODERN = "2026-07-28";
export const LEGACY = "2025-11-25";
export const LOCAL = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

export const FIELDS = { "content-type": "application/json", accept: "application/json, text/event-stream" };

export const INITIALIZE = {
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: {
    protocolVersion: LEGACY,
    capabilities: {},
    clientInfo: { name: "portcullis-doctor", version: "1" },
  },
};

export const DISCOVER = {
  jsonrpc: "2.0",
  id: 1,
  method: "server/discover",
  params: {
    _meta: {
      "io.modelcontextprotocol/protocolVersion": MODERN,
      "io.modelcontextprotocol/clientCapabilities": {},
    },
  },
};

export const DISCOVER_FIELDS = { ...FIELDS, "mcp-protocol-version": MODERN, "mcp-method": "server/discover" };

/** The locations where a well-known document of `url` may be: with the path of `url` after the well-known prefix, and without. */
export function wellKnown(url, name) {
  const { origin, pathname } = new URL(url);
  const path = pathname === "/" ? "" : pathname.replace(/\/$/, "");
  return [...new Set([`${origin}/.well-known/${name}${path}`, `${origin}/.well-known/${name}`])];
}

/** The locations of an issuer's metadata (RFC 8414 §3.1, OpenID Connect Discovery §4), in the order of most clients. */
export function issuerPlaces(issuer) {
  const { origin, pathname } = new URL(issuer);
  const path = pathname === "/" ? "" : pathname.replace(/\/$/, "");
  return [
    ...new Set([
      `${origin}/.well-known/oauth-authorization-server${path}`,
      `${origin}/.well-known/openid-configuration${path}`,
      `${origin}${path}/.well-known/openid-configuration`,
    ]),
  ];
}

export const isUrl = (text) => typeof text === "string" && URL.parse(text) !== null;

export const isProtected = (text) => {
  const url = URL.parse(text);
  return url?.protocol === "https:" || (url?.protocol === "http:" && LOCAL.test(url.hostname));
};

export const show = (text) => JSON.stringify(text);

/** Members of metadata that must be arrays of strings (`LISTS`), and members that must be strings (`WORDS`). */
const LISTS =
  /^(authorization_servers|bearer_methods_supported|scopes_supported|(response_types|response_modes|grant_types|code_challenge_methods|token_endpoint_auth_methods|\w+_alg_values)_supported)$/;
const WORDS =
  /^(resource|issuer|jwks_uri|resource_(name|documentation|policy_uri|tos_uri)|\w+_(endpoint|uri))$/;

/**
 * A metadata document without members of a wrong type. Reports each of them as an error: clients that read the document strictly
 * refuse it.
 */
export function shaped(document, place, step, error) {
  const tell = (what) =>
    error(
      "metadata-form",
      step,
      `${place}: ${what}`,
      "send the document as RFC 8414 and RFC 9728 define it: clients reject this one",
    );
  if (document === null || typeof document !== "object" || Array.isArray(document)) {
    tell(`must be a JSON object, got ${show(document).slice(0, 80)}`);
    return {};
  }
  const isList = (value) => Array.isArray(value) && value.every((item) => typeof item === "string");
  const fits = ([name, value]) => {
    if (LISTS.test(name))
      return isList(value) || tell(`${name} must be an array of strings, got ${show(value).slice(0, 80)}`);
    if (WORDS.test(name))
      return typeof value === "string" || tell(`${name} must be a string, got ${show(value).slice(0, 80)}`);
    return true;
  };
  return Object.fromEntries(Object.entries(document).filter((member) => fits(member) === true));
}
