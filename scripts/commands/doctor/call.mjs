// The step after the login: calls with a token.
import { ask, challenges } from "./http.mjs";
import { DISCOVER, DISCOVER_FIELDS, FIELDS, INITIALIZE } from "./requests.mjs";

/** Calls with a token: checks the gateway's verdict on it, and the origin server's answers. */
export async function call({ url, token, error, warn, facts }) {
  const authorization = `Bearer ${token}`;
  const hello = await ask(url, {
    method: "POST",
    headers: { ...FIELDS, authorization },
    body: JSON.stringify(INITIALIZE),
  });
  if (hello.failed) {
    error("call-failed", "call", `with your token: ${hello.failed.words}`, "look at the gateway's log");
    return;
  }
  facts.call = hello.status;
  if (hello.status === 401 || hello.status === 403) {
    const said = challenges(hello.headers.get("www-authenticate"))[0]?.parameters ?? {};
    error(
      hello.status === 401 ? "token-refused" : "scope-missing",
      "call",
      `your token gets ${hello.status}: ${said.error_description ?? said.error ?? "no reason given"}`,
      "the gateway's log has the reason; is aud the resource, and the issuer one of its issuers?",
    );
    return;
  }
  if (hello.status === 502 || hello.status === 504) {
    error(
      "origin-down",
      "call",
      `the origin server behind it gives no answer (${hello.status})`,
      "check origin, and that the Worker can reach it",
    );
    return;
  }
  if (hello.status !== 200) {
    error(
      "call-status",
      "call",
      `initialize with your token gets ${hello.status}`,
      "a server of the modern era alone refuses it: then this is right; else see the origin server's log",
      { clients: [] },
    );
  }
  const discover = await ask(url, {
    method: "POST",
    headers: { ...DISCOVER_FIELDS, authorization },
    body: JSON.stringify(DISCOVER),
  });
  if (hello.status !== 200 && discover.status !== 200) {
    error("no-era", "call", "neither era works with your token", "see the origin server's log");
  }
  if (
    discover.status === 200 &&
    discover.json?.result === undefined &&
    !/^(event|data|:|id)/.test(discover.text)
  ) {
    warn(
      "discover-answer",
      "call",
      "server/discover gets something else than a result",
      "the origin server does not know the modern era and does not say so",
    );
  }
}
