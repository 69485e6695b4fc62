// A real MCP server (npm `@modelcontextprotocol/server`) that checks credentials itself: bearer tokens of an issuer for its own URL,
// or a key in a field. Its tools say who calls and with which scopes.
import { createServer } from "node:http";
import { toNodeHandler } from "@modelcontextprotocol/node";
import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import { createRemoteJWKSet, jwtVerify } from "jose";

/**
 * Starts the server. `issuers` has the authorization servers whose tokens it accepts; `keys` are the values that it accepts, whole,
 * in the field `field`. `seen` has the fields of each request, and whether it was accepted. `refused` may be set to a function of the
 * credential: one for which it returns true is refused as if it had been revoked. `lacks` may be set to scopes that every token
 * lacks. With `scopes` it publishes metadata (RFC 9728), which may be replaced as `metadata`.
 */
export async function startToolsServer({ issuers = [], keys = [], field = "authorization", scopes } = {}) {
  const seen = [];
  const jwks = new Map(issuers.map(({ issuer, jwksUri }) => [issuer, createRemoteJWKSet(new URL(jwksUri))]));
  const serve = toNodeHandler(
    createMcpHandler(({ authInfo }) => {
      const mcp = new McpServer({ name: "tools", version: "1.0.0" });
      mcp.registerTool("whoami", { description: "Who is calling" }, () => ({
        content: [{ type: "text", text: JSON.stringify(authInfo.extra) }],
      }));
      return mcp;
    }),
  );
  /** `isHidden`: the metadata is only where the challenge says. */
  const it = { seen, refused: () => false, lacks: undefined, isHidden: false };

  async function admitted(request) {
    const given = request.headers[field];
    if (given === undefined || it.refused(given)) return undefined;
    if (keys.includes(given)) return { key: given.slice(-4) };
    const token = given.replace(/^Bearer /, "");
    try {
      const { iss } = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
      const { payload } = await jwtVerify(token, jwks.get(iss), { issuer: iss, audience: it.url });
      return { sub: payload.sub, client: payload.client_id, scope: payload.scope };
    } catch {
      return undefined;
    }
  }

  const server = createServer(async (request, response) => {
    const isWellKnown = request.url === "/.well-known/oauth-protected-resource/mcp" && !it.isHidden;
    if ((isWellKnown || request.url === "/elsewhere.example/metadata") && scopes) {
      response.setHeader("content-type", "application/json");
      return response.end(JSON.stringify(it.metadata));
    }
    if (it.lacks !== undefined) {
      const challenge = `Bearer error="insufficient_scope", scope="${it.lacks}"`;
      request.resume();
      return response.writeHead(403, { "www-authenticate": challenge }).end();
    }
    const extra = await admitted(request);
    seen.push({ method: request.method, fields: request.headers, admitted: extra !== undefined });
    if (extra === undefined) {
      const challenge = `Bearer resource_metadata="http://127.0.0.1:${it.port}/elsewhere.example/metadata", error="invalid_token"`;
      request.resume();
      return response.writeHead(401, { "www-authenticate": challenge }).end();
    }
    request.auth = { token: "checked", clientId: extra.client ?? "", scopes: [], extra };
    await serve(request, response);
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  it.port = server.address().port;
  it.url = `http://127.0.0.1:${it.port}/mcp`;
  it.metadata = {
    resource: it.url,
    authorization_servers: issuers.map(({ issuer }) => issuer),
    scopes_supported: scopes,
  };
  it.close = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  return it;
}
