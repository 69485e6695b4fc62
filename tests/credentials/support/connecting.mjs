// Accounts of users at another party's authorization server: that server (npm `oidc-provider`), an MCP server that accepts its
// tokens, and the gateway with its own authorization server; and a browser without a screen.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { startIdentityProvider } from "../../../examples/identity-provider/provider.mjs";
import { startLogin } from "../../e2e/support/login.mjs";
import { remember } from "../../e2e/support/secrets.mjs";
import { CookieJar } from "../../e2e/support/token.mjs";
import { ERAS } from "./scene.mjs";
import { startToolsServer } from "./tools-server.mjs";

const unescaped = (text) => text.replaceAll("&quot;", '"').replaceAll("&#39;", "'").replaceAll("&amp;", "&");

/**
 * Starts them. `perUser` changes the table; `third` are options of the other authorization server; `startThird` starts another one,
 * which has `issuer` and `jwksUri`.
 */
export async function startConnecting({
  perUser = {},
  third: thirdOptions = {},
  startThird,
  tools: givenTools,
  resource = {},
  ...rest
} = {}) {
  const requests = [];
  const third = startThird
    ? await startThird()
    : await startIdentityProvider({
        autoLogin: true,
        onRequest: (request) => requests.push(request),
        ...thirdOptions,
      });
  const issuer = { issuer: third.issuer, jwksUri: third.jwksUri ?? `${third.issuer}/jwks` };
  const tools = givenTools ?? (await startToolsServer({ issuers: [issuer], scopes: ["mcp:tools"] }));
  const login = await startLogin({
    ...rest,
    origin: { url: tools.url, close: () => {} },
    resource: { name: "Tools of the example", credential: { per_user: perUser }, ...resource },
  });
  const issued = [];
  third.onToken?.((body) => {
    issued.push(body);
    for (const name of ["access_token", "refresh_token"]) remember(body?.[name]);
  });
  const scene = {
    ...login,
    third,
    tools,
    /** What the other authorization server issued. */
    issued,
    /** Requests to the other authorization server at a path. */
    asked: (path) => requests.filter((request) => request.path === path),
    /** A token of the gateway for the user who logs in. */
    async tokenOf(sub = "ada") {
      login.idp.user = { sub, email: `${sub}@acme.example`, email_verified: true };
      return (await login.login()).body.access_token;
    },
    /** A published client, connected through the gateway. `onUrl` gets the URLs that it is asked to open. */
    async connect(token, { era = "modern", onUrl } = {}) {
      const client = new Client(
        { name: "scenario", version: "1.0.0" },
        {
          versionNegotiation: { mode: ERAS[era] },
          capabilities: onUrl ? { elicitation: { url: {} } } : {},
        },
      );
      if (onUrl) {
        client.setRequestHandler("elicitation/create", async ({ params }) => {
          await onUrl(params);
          return { action: "accept" };
        });
      }
      const headers = { Authorization: `Bearer ${token}` };
      await client.connect(
        new StreamableHTTPClientTransport(new URL(login.resource), { requestInit: { headers } }),
      );
      return client;
    },
    /** One plain request: a tool call of an era, with these capabilities. */
    async call(
      token,
      { method = "tools/call", params = { name: "whoami", arguments: {} }, url = false, era = "modern" } = {},
    ) {
      const meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { name: "scenario", version: "1" },
        "io.modelcontextprotocol/clientCapabilities": url ? { elicitation: { url: {} } } : {},
      };
      const modern = era === "modern";
      const response = await fetch(login.resource, {
        method: "POST",
        headers: {
          Authorization: `Bearer ${token}`,
          "Content-Type": "application/json",
          Accept: "application/json, text/event-stream",
          "MCP-Protocol-Version": modern ? "2026-07-28" : "2025-11-25",
          ...(modern && { "Mcp-Method": method, ...(params.name && { "Mcp-Name": params.name }) }),
        },
        body: JSON.stringify({
          jsonrpc: "2.0",
          id: 7,
          method,
          params: modern ? { ...params, _meta: meta } : params,
        }),
        signal: AbortSignal.timeout(20_000),
      });
      const text = await response.text();
      const data = text.match(/^data: (.*)$/m)?.[1];
      return {
        status: response.status,
        fields: response.headers,
        text,
        body: JSON.parse(data ?? (text || "null")),
      };
    },
    last: () => login.gateway.events().findLast(({ event }) => event === "request"),
    async close() {
      await login.close();
      await Promise.all([tools.close(), third.close()]);
    },
  };
  return scene;
}

/** The URL in the words of an answer. */
export const linkIn = (text) => text.match(/https?:\/\/[^\s"\\]+\/connect\?link=[\w-]+/)?.[0];

/** A browser without a screen: it follows redirects and sends forms, as its user says. */
export class Browser {
  jar = new CookieJar();

  async #request(url, { body, origin = url.origin } = {}) {
    const response = await fetch(url, {
      method: body ? "POST" : "GET",
      body,
      redirect: "manual",
      headers: { Cookie: this.jar.header(url), ...(body && { Origin: origin }) },
      signal: AbortSignal.timeout(10_000),
    });
    this.jar.store(url, response);
    const page = await response.text();
    const location = response.headers.get("location");
    const onward = page.match(/<meta http-equiv="refresh" content="0;url=([^"]*)"/)?.[1];
    const next = location ?? (onward && unescaped(onward));
    return { url, status: response.status, page, next: next && new URL(next, url) };
  }

  /** Opens a URL, and follows where it leads until a page that waits for its user, or until `until` returns true. */
  async open(url, until = () => false) {
    let at = new URL(url);
    for (let hop = 0; hop < 15; hop += 1) {
      const got = await this.#request(at);
      if (got.next === undefined) return got;
      if (until(got.next)) return got;
      at = got.next;
    }
    throw new Error("no end");
  }

  /** Sends the first form on a page, with this decision; follows where it leads. */
  async send({ url, page }, decision, { until, origin } = {}) {
    const action = new URL(unescaped(page.match(/<form method="post" action="([^"]*)"/)[1]), url);
    const hidden = [...page.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)];
    const body = new URLSearchParams(hidden.map(([, name, value]) => [name, unescaped(value)]));
    body.set("decision", decision);
    const got = await this.#request(action, { body, origin });
    if (got.next === undefined || until?.(got.next)) return got;
    return this.open(got.next, until);
  }

  /** Sends a form with these fields. */
  async post(url, fields, origin) {
    return this.#request(new URL(url), { body: new URLSearchParams(fields), origin });
  }

  /** Connects the account of a link, as a user who says yes. The last page. */
  async connect(link) {
    return this.send(await this.open(link), "connect");
  }
}
