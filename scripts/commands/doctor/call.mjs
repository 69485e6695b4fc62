// The step after the login: calls with a token.
import { ask, challenges } from "./http.mjs";
import { DISCOVER, DISCOVER_FIELDS, FIELDS, INITIALIZE } from "./requests.mjs";

/** The link with which the gateway asks a user to connect an account (`per_user`). */
const CONNECT_LINK = /https?:\/\/\S+\/connect\?link=\S+/;

/** Calls with a token: checks the gateway's verdict on it, and the origin server's answers. */
export async function call({ url, token, error, warn, facts }) {
  const authorization = `Bearer ${token}`;
  const hello = await ask(url, {
    method: "POST",
    headers: { ...FIELDS, authorization },
    body: JSON.stringify(INITIALIZE),
  });
  if (hello.failed) {
    error(
      "call-failed",
      "call",
      `the call with your token failed: ${hello.failed.words}`,
      "read the gateway's log",
    );
    return;
  }
  facts.call = hello.status;
  const link = hello.status === 403 && CONNECT_LINK.exec(hello.json?.error?.message ?? "")?.[0];
  if (link) {
    warn(
      "not-connected",
      "call",
      `the gateway accepts your token, but its user has connected no account of the origin server: ${link}`,
      "open this link and log in as the user of the token; the link opens once, and a new call gives a new one (docs/origin-credentials.md)",
    );
    return;
  }
  if (hello.status === 401 || hello.status === 403) {
    const said = challenges(hello.headers.get("www-authenticate"))[0]?.parameters ?? {};
    error(
      hello.status === 401 ? "token-refused" : "scope-missing",
      "call",
      `your token gets ${hello.status}: ${said.error_description ?? said.error ?? "no reason given"}`,
      "read the reason in the gateway's log; check that aud of the token names the resource, and that the resource accepts its issuer",
    );
    return;
  }
  if (hello.status === 502 || hello.status === 504) {
    error(
      "origin-down",
      "call",
      `the gateway gets no usable answer from the origin server (${hello.status})`,
      "check origin, and that the Worker can reach the origin server",
    );
    return;
  }
  if (hello.status !== 200) {
    error(
      "call-status",
      "call",
      `initialize with your token gets ${hello.status}`,
      "if the origin server supports only the modern era, this is correct; otherwise read the origin server's log",
      { clients: [] },
    );
  }
  const discover = await ask(url, {
    method: "POST",
    headers: { ...DISCOVER_FIELDS, authorization },
    body: JSON.stringify(DISCOVER),
  });
  if (hello.status !== 200 && discover.status !== 200) {
    error(
      "no-era",
      "call",
      "with your token neither initialize (legacy era) nor server/discover (modern era) works",
      "read the origin server's log",
    );
  }
  if (
    discover.status === 200 &&
    discover.json?.result === undefined &&
    !/^(event|data|:|id)/.test(discover.text)
  ) {
    warn(
      "discover-answer",
      "call",
      "the answer to server/discover is not a result",
      "the origin server does not support the modern era and does not say so: read its log",
    );
  }
}
