// What the scenarios have in common: an identity provider that issues the callers' tokens, an authorization server for the MCP
// server, the MCP server, and the gateway between them; and callers with a published MCP client.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { configFor, startGateway } from "../../e2e/support/gateway.mjs";
import { startStaticIssuer } from "../../e2e/support/issuer.mjs";
import { freePort } from "../../e2e/support/processes.mjs";
import { remember } from "../../e2e/support/secrets.mjs";
import { startTokenService } from "./token-service.mjs";
import { startToolsServer } from "./tools-server.mjs";

export const CURRENT = remember("a-static-secret-of-the-gateway");
export const NEXT = remember("the-next-static-secret-of-it");

/** The eras, each with how the published client negotiates it. */
export const ERAS = { modern: { pin: "2026-07-28" }, legacy: "legacy" };

/**
 * Starts all of them. `credential` makes the table from `{ service, provider, tools, client }`, where `client(kind, service)` is the
 * table of a client that authenticates in that way; `resource`, `changes`, `tools` and `service` change the rest.
 */
export async function startCredentialScene({
  credential,
  resource = {},
  changes = () => ({}),
  tools: toolsOptions = {},
  service: serviceOptions = {},
  moreSecrets = {},
  trustsGateway = false,
  ...rest
}) {
  const idp = await startStaticIssuer();
  const port = await freePort();
  const itself = {
    issuer: `http://127.0.0.1:${port}`,
    jwksUri: `http://127.0.0.1:${port}/.well-known/jwks.json`,
  };
  // The company's identity provider as an exchanging service, and the third party's authorization server, which trusts it.
  const provider = await startTokenService({ trusted: [idp], ...serviceOptions });
  const trusted = [idp, provider, ...(trustsGateway ? [itself] : [])];
  const service = await startTokenService({ trusted, ...serviceOptions });
  const tools = await startToolsServer({ issuers: [service], ...toolsOptions });
  const secrets = { CURRENT, NEXT, ...moreSecrets };
  const client = (kind = "basic", of = service) => {
    const name = `CLIENT_${Object.keys(secrets).length}`;
    secrets[name] = of.clients[kind].secret;
    const authentication = {
      basic: "client_secret_basic",
      post: "client_secret_post",
      key: "private_key_jwt",
    }[kind];
    return {
      token_endpoint: of.tokenEndpoint,
      client_id: of.clients[kind].clientId,
      authentication,
      secret: name,
      issuer: of.issuer,
    };
  };
  const table = credential({ idp, provider, service, tools, client });
  const gateway = await startGateway({
    port,
    secrets,
    config: (url) =>
      configFor({
        url,
        issuer: idp.issuer,
        origin: tools.url,
        resource: { credential: table, ...resource },
        ...changes({ url, idp, provider, service, tools }),
      }),
    ...rest,
  });
  const url = `${gateway.url}/mcp`;
  const scene = {
    idp,
    provider,
    service,
    tools,
    gateway,
    url,
    token: (sub = "ada", claims = {}) => idp.token(url, { claims: { sub, ...claims } }),
    /** A published client of an era, connected through the gateway; `close` ends it. */
    async connect(token, era = "modern") {
      const client = new Client(
        { name: "scenario", version: "1.0.0" },
        { versionNegotiation: { mode: ERAS[era] } },
      );
      const headers = { Authorization: `Bearer ${token}` };
      await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
      return client;
    },
    /** Who calls, as the MCP server says. */
    async whoami(sub = "ada", era = "modern") {
      const client = await scene.connect(await scene.token(sub), era);
      try {
        const { content } = await client.callTool({ name: "whoami", arguments: {} });
        return JSON.parse(content[0].text);
      } finally {
        await client.close();
      }
    },
    /** The status and the body of one plain request. */
    async post({ token, fields = {}, method = "POST", body } = {}) {
      const message = { jsonrpc: "2.0", id: 7, method: "tools/list", params: {} };
      const response = await fetch(url, {
        method,
        headers: {
          Authorization: `Bearer ${token ?? (await scene.token())}`,
          ...(method === "POST" && {
            "Content-Type": "application/json",
            Accept: "application/json, text/event-stream",
          }),
          ...fields,
        },
        body: method === "POST" ? (body ?? JSON.stringify(message)) : undefined,
        signal: AbortSignal.timeout(20_000),
      });
      return { status: response.status, fields: response.headers, body: await response.text() };
    },
    last: () => gateway.events().findLast(({ event }) => event === "request"),
    close: async () => {
      await gateway.close();
      await Promise.all([tools.close(), service.close(), provider.close(), idp.close()]);
    },
  };
  return scene;
}
