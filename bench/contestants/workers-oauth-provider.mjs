// What a user would install instead, as its README has it for one Worker, with its default store. Tokens are its own:
// `/authorize` consents at once, for the one client that there is.
import { insufficientScope, OAuthProvider } from "@cloudflare/workers-oauth-provider";
import { GATE, REDIRECT, RESOURCE, SCOPE } from "../names.mjs";
import { forward } from "./forward.mjs";

const apiHandler = {
  fetch(request, env, ctx) {
    if (!ctx.auth.scope.includes(SCOPE)) return insufficientScope(ctx.auth, [SCOPE]);
    return forward(request, env);
  },
};

const defaultHandler = {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    const api = env.OAUTH_PROVIDER;
    if (pathname === "/client") {
      const client = { redirectUris: [REDIRECT], tokenEndpointAuthMethod: "none" };
      return Response.json(await api.createClient(client));
    }
    if (pathname !== "/authorize") return new Response(null, { status: 404 });
    const asked = await api.parseAuthRequest(request);
    const user = { userId: "ada", metadata: {}, props: { userId: "ada" } };
    const { redirectTo } = await api.completeAuthorization({ request: asked, scope: asked.scope, ...user });
    return Response.redirect(redirectTo, 302);
  },
};

export default new OAuthProvider({
  apiRoute: "/mcp",
  apiHandler,
  defaultHandler,
  authorizeEndpoint: "/authorize",
  tokenEndpoint: "/token",
  scopesSupported: [SCOPE],
  resourceMetadata: { resource: RESOURCE, authorization_servers: [GATE] },
  requiredScopes: [SCOPE],
  accessTokenTTL: 24 * 3600,
});
