// Checks the first request that every client sends, and its answer: redirects, certificate, clock, challenge.
import { ask, challenges } from "./http.mjs";
import { DISCOVER, DISCOVER_FIELDS, FIELDS, INITIALIZE, isUrl, LOCAL, MODERN, show } from "./requests.mjs";

const SKEW_SECONDS = 30;
const CERTIFICATE_DAYS = 14;

/** Sends the first request that every client sends, without a token. Returns its answer, or undefined where the walk ends here. */
export async function reach({ url, error, warn, facts }) {
  const target = new URL(url);
  if (target.protocol === "http:" && !LOCAL.test(target.hostname)) {
    error(
      "not-https",
      "reach",
      `${url} is plain HTTP`,
      "serve it over https: clients refuse anything else but loopback",
    );
    // Any intermediary could read a token that is sent there.
    facts.unprotected = true;
  }
  if (target.hash || target.username) {
    error(
      "url-form",
      "reach",
      `${url} has a fragment or user information`,
      "give clients the URL without it",
    );
  }
  const answer = await ask(url, { method: "POST", headers: FIELDS, body: JSON.stringify(INITIALIZE) });
  if (answer.failed) {
    const { kind, words } = answer.failed;
    if (kind === "tls") {
      error(
        "tls",
        "reach",
        `${target.host}: ${words}`,
        "give it a certificate that browsers trust, for this name",
      );
    } else if (kind === "timeout") {
      error(
        "timeout",
        "reach",
        `${url}: ${words}`,
        "look at the gateway's log: does the request arrive, and does its origin server answer?",
      );
    } else {
      error(
        "unreachable",
        "reach",
        `${target.host}: ${words}`,
        "check the name, its DNS record and the route to the Worker",
      );
    }
    return undefined;
  }
  facts.first = answer.status;
  if (answer.slow) {
    warn(
      "slow",
      "reach",
      `the first answer took ${(answer.milliseconds / 1000).toFixed(1)} seconds`,
      "look at what it waits for: nothing has to be asked for a 401",
    );
  }
  const date = Date.parse(answer.headers.get("date") ?? "");
  if (!Number.isNaN(date) && Math.abs(date - Date.now()) > SKEW_SECONDS * 1000) {
    const seconds = Math.round((date - Date.now()) / 1000);
    warn(
      "clock",
      "call",
      `its clock is ${Math.abs(seconds)} seconds ${seconds > 0 ? "ahead of" : "behind"} this machine's`,
      "set both clocks: tokens are judged by their times",
    );
  }
  await certificate(target, warn);
  const { status } = answer;
  if (status >= 300 && status < 400) {
    const to = answer.headers.get("location");
    if (await circles(url, to)) {
      error(
        "redirect-loop",
        "reach",
        `${url} redirects in a circle`,
        "end the circle: two rules send requests to each other",
      );
    } else {
      error(
        "redirect",
        "reach",
        `${url} redirects to ${show(to)}`,
        "give clients that URL: with a token they follow no redirect, and the resource would be another",
      );
    }
    return undefined;
  }
  if (status === 200 && /text\/html/i.test(answer.headers.get("content-type") ?? "")) {
    error(
      "not-a-gateway",
      "reach",
      `${url} answers a POST with a page`,
      "name the URL of the MCP endpoint, path included",
    );
    return undefined;
  }
  if (status === 404) {
    error(
      "not-found",
      "reach",
      `${url} is not there (404)`,
      "name the whole URL of the endpoint, as in resources[].path",
    );
    return undefined;
  }
  if (status === 503) {
    error(
      "closed",
      "reach",
      "it answers 503: its configuration is not valid, or what it depends on is down",
      "its log says which: `npx wrangler tail`",
    );
    return undefined;
  }
  if (status >= 500) {
    error("server-error", "reach", `it answers ${status}`, "its log says why");
    return undefined;
  }
  return answer;
}

/** Whether redirects lead back to a URL that was visited before, or continue after ten. */
async function circles(from, to) {
  const seen = new Set([from]);
  let next = to && URL.parse(to, from)?.href;
  for (let hop = 0; next && hop < 10; hop += 1) {
    if (seen.has(next)) return true;
    seen.add(next);
    const answer = await ask(next, { method: "POST", headers: FIELDS, body: "{}" });
    const location = answer.headers?.get("location");
    if (!(answer.status >= 300 && answer.status < 400) || !location) return false;
    next = URL.parse(location, next)?.href;
  }
  return next !== undefined;
}

async function certificate({ protocol, hostname, port }, warn) {
  if (protocol !== "https:") return;
  const { connect } = await import("node:tls");
  const ends = await new Promise((resolve) => {
    const socket = connect({ host: hostname, port: port || 443, servername: hostname }, () => {
      resolve(Date.parse(socket.getPeerCertificate().valid_to));
      socket.end();
    });
    socket.setTimeout(5_000, () => socket.destroy());
    socket.on("error", () => resolve(undefined)).on("close", () => resolve(undefined));
  });
  if (ends === undefined) return;
  const days = Math.floor((ends - Date.now()) / 86_400_000);
  if (days < CERTIFICATE_DAYS) warn("tls-soon", "reach", `its certificate ends in ${days} days`, "renew it");
}

export async function challenge({ url, error, warn, facts }, first) {
  if (first.status !== 401) {
    if (first.status < 300) {
      error(
        "open",
        "challenge",
        `it answers ${first.status} without a token: anybody can use it`,
        "give the resource issuers, and see that nothing else serves this URL",
      );
    } else {
      error(
        "not-401",
        "challenge",
        `it answers ${first.status} without a token, not 401: no client logs in, and some take it for an old server`,
        "answer 401 with a challenge (RFC 6750 §3)",
      );
    }
    return;
  }
  const field = first.headers.get("www-authenticate");
  if (field === null) {
    error(
      "no-challenge",
      "challenge",
      "its 401 has no WWW-Authenticate",
      "send one with resource_metadata (R7); does a proxy in front drop it?",
    );
    return;
  }
  const bearer = challenges(field).find(({ scheme }) => /^(bearer|dpop)$/i.test(scheme));
  if (bearer === undefined) {
    error(
      "other-scheme",
      "challenge",
      `its challenge is of another scheme: ${show(field.slice(0, 80))}`,
      "challenge with Bearer (RFC 6750 §3)",
    );
    return;
  }
  const { resource_metadata: at, scope, realm, error: code } = bearer.parameters;
  facts.scope = scope;
  if (at === undefined && realm !== undefined) {
    facts.realm = realm;
  } else if (at === undefined) {
    warn(
      "no-resource-metadata",
      "challenge",
      "its challenge does not say where the metadata is",
      "send resource_metadata (RFC 9728 §5.1): clients of 2025-06-18 look nowhere else",
    );
  } else if (!isUrl(at)) {
    error(
      "resource-metadata-relative",
      "challenge",
      `resource_metadata is no absolute URL: ${show(at)}`,
      "send the whole URL (RFC 9728 §5.1)",
    );
  } else if (new URL(at).origin !== new URL(url).origin) {
    error(
      "resource-metadata-elsewhere",
      "challenge",
      `resource_metadata is on another host than the endpoint: ${at}`,
      "set public_url to the URL that clients use, scheme and port included",
    );
  } else {
    facts.metadata = at;
  }
  if (code !== undefined) {
    warn(
      "challenge-error",
      "challenge",
      `its challenge has error=${show(code)}, though nothing was sent`,
      "leave it out (RFC 6750 §3.1): some clients take it for a refusal",
    );
  }
  if (first.json?.jsonrpc !== "2.0") {
    warn(
      "body-not-json",
      "challenge",
      "the body of its 401 is no JSON-RPC",
      "a page of somebody's in front answers; some clients show it to their users",
    );
  }
}

/** The requests by which clients detect the era. With any answer but 401 they fall back to another era, or give up. */
export async function probes({ url, error, facts }) {
  const modern = await ask(url, { method: "POST", headers: DISCOVER_FIELDS, body: JSON.stringify(DISCOVER) });
  if (modern.failed || (modern.status !== 401 && facts.first === 401)) {
    error(
      "modern-probe",
      "probe",
      `server/discover of ${MODERN} gets ${modern.failed?.words ?? modern.status}, not 401`,
      "answer 401: clients take any other 4xx for an old server, and speak the old protocol from then on",
    );
  }
  const get = await ask(url, { headers: { accept: "text/event-stream" } });
  if (get.failed || (get.status !== 401 && get.status !== 405 && facts.first === 401)) {
    error(
      "get-probe",
      "probe",
      `GET gets ${get.failed?.words ?? get.status}, not 401`,
      "answer 401 to GET, too: mcp-remote asks so first",
    );
  }
}
