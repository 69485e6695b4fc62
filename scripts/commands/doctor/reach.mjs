// Checks the first request that every client sends, and its answer: redirects, certificate, clock, challenge.
import { ask, challenges } from "./http.mjs";
import { DISCOVER, DISCOVER_FIELDS, FIELDS, INITIALIZE, isUrl, LOCAL, MODERN, show } from "./requests.mjs";

const SKEW_SECONDS = 30;
const CERTIFICATE_DAYS = 14;

/** What to do where no server answers. */
function remedy({ hostname }, words) {
  if (LOCAL.test(hostname))
    return "start the server on this machine, or correct the port: `npm start` prints the URL of its gateway";
  if (words.includes("cannot be resolved"))
    return "check the host name and its DNS record: a custom domain in routes gets one at the deployment";
  return "check the host name, the port and the route to the Worker";
}

/** Sends the first request that every client sends, without a token. Returns its answer, or undefined where the walk ends here. */
export async function reach({ url, error, warn, facts }) {
  const target = new URL(url);
  if (target.protocol === "http:" && !LOCAL.test(target.hostname)) {
    error(
      "not-https",
      "reach",
      `${url} uses plain HTTP`,
      "serve the endpoint over https: clients accept plain HTTP only for loopback addresses",
    );
    // Any intermediary could read a token that is sent there.
    facts.unprotected = true;
  }
  if (target.hash || target.username) {
    error(
      "url-form",
      "reach",
      `${url} has a fragment or user information`,
      "give clients the URL without these parts",
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
        "install a certificate for this host name that browsers trust",
      );
    } else if (kind === "timeout") {
      error(
        "timeout",
        "reach",
        `${url}: ${words}`,
        "read the gateway's log: does the request arrive, and does the origin server answer?",
      );
    } else {
      error("unreachable", "reach", `${target.host}: ${words}`, remedy(target, words));
    }
    return undefined;
  }
  facts.first = answer.status;
  if (answer.slow) {
    warn(
      "slow",
      "reach",
      `the first answer took ${(answer.milliseconds / 1000).toFixed(1)} seconds`,
      "find out what the endpoint waits for: a 401 needs no request to another server",
    );
  }
  const date = Date.parse(answer.headers.get("date") ?? "");
  if (!Number.isNaN(date) && Math.abs(date - Date.now()) > SKEW_SECONDS * 1000) {
    const seconds = Math.round((date - Date.now()) / 1000);
    warn(
      "clock",
      "call",
      `the clock of the endpoint is ${Math.abs(seconds)} seconds ${seconds > 0 ? "ahead of" : "behind"} the clock of this machine`,
      "correct the clocks: the times in a token decide whether it is valid",
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
        `${url} redirects in a loop`,
        "end the loop: two redirect rules send requests to each other",
      );
    } else {
      error(
        "redirect",
        "reach",
        `${url} redirects to ${show(to)}`,
        "give clients the URL after the redirect: they follow no redirect with a token, and the resource would be another one",
      );
    }
    return undefined;
  }
  if (status === 200 && /text\/html/i.test(answer.headers.get("content-type") ?? "")) {
    error(
      "not-a-gateway",
      "reach",
      `${url} answers a POST with an HTML page`,
      "use the URL of the MCP endpoint, including its path",
    );
    return undefined;
  }
  if (status === 404) {
    error(
      "not-found",
      "reach",
      `${url} does not exist (404)`,
      "use the whole URL of the endpoint, with the path in resources[].path",
    );
    return undefined;
  }
  if (status === 503) {
    error(
      "closed",
      "reach",
      "the endpoint answers 503: its configuration is not valid, or something that it depends on is unavailable",
      "read the reason in its log: `npx wrangler tail`",
    );
    return undefined;
  }
  if (status >= 500) {
    error("server-error", "reach", `the endpoint answers ${status}`, "read the reason in its log");
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
  if (days < CERTIFICATE_DAYS)
    warn("tls-soon", "reach", `the certificate expires in ${days} days`, "renew it");
}

export async function challenge({ url, error, warn, facts }, first) {
  if (first.status !== 401) {
    if (first.status < 300) {
      error(
        "open",
        "challenge",
        `the endpoint answers ${first.status} without a token: any client can use it`,
        "configure issuers for the resource, and make sure that no other server answers at this URL",
      );
    } else {
      error(
        "not-401",
        "challenge",
        `the endpoint answers ${first.status} without a token, not 401: no client logs in, and some clients treat it as an older MCP server`,
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
      "the 401 response has no WWW-Authenticate field",
      "send WWW-Authenticate with resource_metadata (R7); does a proxy in front of the gateway remove it?",
    );
    return;
  }
  const bearer = challenges(field).find(({ scheme }) => /^(bearer|dpop)$/i.test(scheme));
  if (bearer === undefined) {
    error(
      "other-scheme",
      "challenge",
      `the challenge has neither the scheme Bearer nor DPoP: ${show(field.slice(0, 80))}`,
      "send a challenge with the scheme Bearer (RFC 6750 §3)",
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
      "the challenge does not say where the metadata is",
      "send resource_metadata (RFC 9728 §5.1): clients of MCP 2025-06-18 look nowhere else",
    );
  } else if (!isUrl(at)) {
    error(
      "resource-metadata-relative",
      "challenge",
      `resource_metadata must be an absolute URL, got ${show(at)}`,
      "send the absolute URL (RFC 9728 §5.1)",
    );
  } else if (new URL(at).origin !== new URL(url).origin) {
    error(
      "resource-metadata-elsewhere",
      "challenge",
      `resource_metadata has another scheme, host or port than the endpoint: ${at}`,
      "set public_url to the URL that clients use, including scheme and port",
    );
  } else {
    facts.metadata = at;
  }
  if (code !== undefined) {
    warn(
      "challenge-error",
      "challenge",
      `the challenge has error=${show(code)}, although the request had no credentials`,
      "send no error code (RFC 6750 §3.1): some clients treat it as a rejection",
    );
  }
  if (first.json?.jsonrpc !== "2.0") {
    warn(
      "body-not-json",
      "challenge",
      "the body of the 401 response is not JSON-RPC",
      "send a JSON-RPC error; if a proxy in front of the gateway replaces the body, change that: some clients show the body to their users",
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
      "answer 401: clients treat any other 4xx as a sign of a legacy server, and use the legacy era from then on",
    );
  }
  const get = await ask(url, { headers: { accept: "text/event-stream" } });
  if (get.failed || (get.status !== 401 && get.status !== 405 && facts.first === 401)) {
    error(
      "get-probe",
      "probe",
      `GET gets ${get.failed?.words ?? get.status}, not 401`,
      "answer 401 to GET too: GET is the first request of mcp-remote",
    );
  }
}
