import { remember } from "./secrets.mjs";

const TIME_LIMIT = 10_000;

async function endpoint(issuer, name) {
  const response = await fetch(`${issuer}/.well-known/openid-configuration`, {
    signal: AbortSignal.timeout(TIME_LIMIT),
  });
  if (!response.ok) throw new Error(`the identity provider has no metadata: ${response.status}`);
  return (await response.json())[name];
}

/**
 * The quick road to an access token: the client credentials grant of `demo-machine` (or of another
 * confidential client). `idp` is what `startIdentityProvider` gives. Returns the token itself.
 */
export async function getToken(
  idp,
  {
    resource,
    scope = "mcp:tools",
    clientId = idp.machine.clientId,
    clientSecret = idp.machine.clientSecret,
  } = {},
) {
  const body = new URLSearchParams({ grant_type: "client_credentials", scope });
  for (const one of resource === undefined ? [] : [resource].flat()) body.append("resource", one);
  const response = await fetch(await endpoint(idp.issuer, "token_endpoint"), {
    method: "POST",
    headers: { Authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString("base64")}` },
    body,
    signal: AbortSignal.timeout(TIME_LIMIT),
  });
  const answer = await response.json();
  if (!response.ok)
    throw new Error(`no token: ${response.status} ${answer.error}: ${answer.error_description}`);
  return remember(answer.access_token);
}

/** Cookies as a browser keeps them: by host (the port does not count), path and name. */
export class CookieJar {
  #cookies = new Map();

  store(url, response) {
    for (const line of response.headers.getSetCookie()) {
      const [pair, ...attributes] = line.split(";").map((part) => part.trim());
      const [name, value] = pair.split(/=(.*)/s);
      const options = Object.fromEntries(
        attributes
          .map((attribute) => attribute.split("="))
          .map(([key, word]) => [key.toLowerCase(), word ?? true]),
      );
      const path = options.path ?? "/";
      const key = `${url.hostname} ${path} ${name}`;
      if (value === "" || (options.expires && Date.parse(options.expires) <= Date.now()))
        this.#cookies.delete(key);
      else this.#cookies.set(key, { host: url.hostname, path, name, value });
    }
  }

  header({ hostname, pathname }) {
    const inside = (path) => pathname === path || pathname.startsWith(path.endsWith("/") ? path : `${path}/`);
    return [...this.#cookies.values()]
      .filter(({ host, path }) => host === hostname && inside(path))
      .map(({ name, value }) => `${name}=${value}`)
      .join("; ");
  }
}

const unescaped = (text) =>
  text
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");

/** What a page of the gateway's asks a browser to do next: to go on somewhere, or to answer for the user, who says yes. */
export function nextOf(page, decision = "allow") {
  const onward = page.match(/<meta http-equiv="refresh" content="0;url=([^"]*)"/)?.[1];
  if (onward !== undefined) return { url: unescaped(onward) };
  const action = page.match(/<form method="post" action="([^"]*)"/)?.[1];
  const request = page.match(/name="request" value="([^"]*)"/)?.[1];
  if (action === undefined || request === undefined) return undefined;
  return { url: unescaped(action), body: new URLSearchParams({ request: unescaped(request), decision }) };
}

/**
 * Does what a browser would do with an authorization URL, as far as no human is needed (so the provider has
 * to run with `autoLogin`): follows the redirects, with cookies, to the client's redirect URI, and says `decision` where
 * the gateway asks. Returns that URL with its `code`, `state` and `iss`. It is only requested with `requestCallback: true`.
 */
export async function authorizeHeadlessly(
  authorizationUrl,
  { requestCallback = false, maxRedirects = 12, decision, jar = new CookieJar(), seen = [], until } = {},
) {
  const signal = AbortSignal.timeout(TIME_LIMIT);
  let body;
  let url = new URL(authorizationUrl);
  const redirectUri = new URL(until ?? url.searchParams.get("redirect_uri"));
  const isCallback = ({ origin, pathname }) =>
    origin === redirectUri.origin && pathname === redirectUri.pathname;

  for (let hop = 0; hop < maxRedirects; hop += 1) {
    const headers = { Cookie: jar.header(url), ...(body && { Origin: url.origin }) };
    const method = body ? "POST" : "GET";
    const response = await fetch(url, { method, body, redirect: "manual", headers, signal });
    const page = await response.text();
    seen.push({ url, status: response.status, page });
    jar.store(url, response);
    const location = response.headers.get("location");
    const next = location ? { url: location } : response.ok ? nextOf(page, decision) : undefined;
    if (!next) {
      throw new Error(`${url.pathname} answered ${response.status} instead of a redirect (is autoLogin on?)`);
    }
    url = new URL(next.url, url);
    body = next.body;
    if (isCallback(url)) {
      if (!requestCallback) return url;
      const answer = await fetch(url, { redirect: "manual", signal });
      await answer.arrayBuffer();
      if (answer.status >= 400) throw new Error(`the client answered ${answer.status} to its callback`);
      return url;
    }
  }
  throw new Error(`no end after ${maxRedirects} redirects`);
}
