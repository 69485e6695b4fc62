// Gets an access token of Portcullis as an authorization server, as a browser and a client do it, and connects the user's account at
// the origin server's authorization server.
import { createHash, randomBytes } from "node:crypto";
import { exchange } from "./http.mjs";
import { GATE, LOGINS, REDIRECT, RESOURCE, SCOPE } from "./names.mjs";
import { CALL } from "./requests.mjs";

const unescaped = (text) => text.replaceAll("&amp;", "&").replaceAll("&#39;", "'").replaceAll("&quot;", '"');

/** A browser that keeps the cookies of one gateway. */
class Browser {
  #cookies = new Map();

  constructor(port, issuer, publish) {
    Object.assign(this, { port, issuer, publish });
  }

  async #ask(method, path, form) {
    const body = form && new URLSearchParams(form).toString();
    const fields = {
      host: new URL(GATE).host,
      "x-forwarded-proto": "https",
      cookie: [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; "),
      ...(body && {
        origin: GATE,
        "content-type": "application/x-www-form-urlencoded",
        "content-length": body.length,
      }),
    };
    const answer = await exchange(this.port, { method, path, fields, body });
    for (const cookie of answer.fields["set-cookie"] ?? []) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
      this.#cookies.set(name, value);
    }
    if (answer.status >= 400)
      throw new Error(`Portcullis: ${method} ${path}: ${answer.status} ${answer.body}`);
    return answer;
  }

  get = (path) => this.#ask("GET", path);
  post = (path, form) => this.#ask("POST", path, form);

  /** Opens a page of the gateway. Where it sends the browser to the identity provider, the user logs in. */
  async open(path) {
    const answer = await this.get(path);
    return answer.status === 302 ? this.#logIn(answer.fields.location) : answer;
  }

  /** Sends the form of a page; the URL to which the page that follows sends the browser. */
  async send(path, { body }, field, decision) {
    const [, value] = new RegExp(`name="${field}" value="([^"]+)"`).exec(body);
    const page = await this.post(path, { [field]: unescaped(value), decision });
    return unescaped(/href="(https:[^"]+)"/.exec(page.body)[1]);
  }

  async #logIn(url) {
    const { searchParams } = new URL(url);
    const claims = { sub: "ada", aud: searchParams.get("client_id"), nonce: searchParams.get("nonce") };
    const answer = {
      access_token: "unused",
      token_type: "Bearer",
      id_token: await this.issuer.idToken(claims),
    };
    await this.publish(LOGINS, answer);
    const back = await this.get(
      `/callback?${new URLSearchParams({ code: "code", state: searchParams.get("state") })}`,
    );
    const { location } = back.fields;
    return location.startsWith(`${GATE}/`) ? this.open(location.slice(GATE.length)) : back;
  }

  logIn = (url) => this.#logIn(url);
}

async function loggedIn(port, issuer, publish) {
  const browser = new Browser(port, issuer, publish);
  const verifier = randomBytes(32).toString("base64url");
  const query = new URLSearchParams({
    response_type: "code",
    client_id: "bench",
    redirect_uri: REDIRECT,
    scope: SCOPE,
    resource: RESOURCE,
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
  });
  const consent = await browser.open(`/authorize?${query}`);
  const back = await browser.logIn(await browser.send("/consent", consent, "request", "allow"));
  const { body } = await browser.post("/token", {
    grant_type: "authorization_code",
    code: new URL(back.fields.location).searchParams.get("code"),
    client_id: "bench",
    code_verifier: verifier,
  });
  return { browser, token: JSON.parse(body).access_token };
}

/** A token of the gateway. */
export async function gatewayToken(port, issuer, publish) {
  return (await loggedIn(port, issuer, publish)).token;
}

/** A token of the gateway for a user who has connected the account. */
export async function connectedToken(port, issuer, publish) {
  const { browser, token } = await loggedIn(port, issuer, publish);
  const { body } = await exchange(port, CALL, token);
  const [link] = /\/connect\?link=[\w-]+/.exec(body);
  const url = new URL(await browser.send("/connect", await browser.open(link), "link", "connect"));
  const back = new URLSearchParams({ code: "code", state: url.searchParams.get("state") });
  await browser.get(`${new URL(url.searchParams.get("redirect_uri")).pathname}?${back}`);
  return token;
}
