/**
 * A small identity provider for the examples and the tests: a real one (npm `oidc-provider`),
 * with one user, Ada, who has no password. Do not put it on a network.
 */
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import Provider, { errors } from "oidc-provider";
import { generateKeys } from "./keys.mjs";
import { errorPage, PAGE_HEADERS, signInPage } from "./pages.mjs";
import { createStore } from "./store.mjs";

export const RESOURCE_SCOPES = ["mcp:tools", "files:read", "files:write"];
const IDENTITY_SCOPES = ["openid", "offline_access", "profile", "email"];
const SCOPES = [...RESOURCE_SCOPES, ...IDENTITY_SCOPES];

const ADA = { id: "ada", name: "Ada", email: "ada@example.com" };

const ROUTES = {
  authorization: "/authorize",
  token: "/token",
  registration: "/register",
  revocation: "/revoke",
  introspection: "/introspect",
  userinfo: "/userinfo",
  jwks: "/jwks",
};

const MINUTE = 60;
const DAY = 24 * 60 * MINUTE;

function configure({
  keys,
  store,
  cookieKey,
  machine,
  accessTokenFormat,
  accessTokenTtl,
  signingAlg,
  resources,
  gateway,
}) {
  return {
    adapter: store,
    jwks: { keys },
    cookies: { keys: [cookieKey] },
    routes: ROUTES,
    scopes: SCOPES,
    claims: { openid: ["sub"], profile: ["name"], email: ["email", "email_verified"] },
    responseTypes: ["code"],
    clientAuthMethods: ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"],
    clients: [
      {
        client_id: machine.clientId,
        client_secret: machine.clientSecret,
        client_name: "Demo machine",
        token_endpoint_auth_method: "client_secret_basic",
        grant_types: ["client_credentials"],
        response_types: [],
        redirect_uris: [],
      },
      ...(gateway
        ? [
            {
              client_id: "portcullis",
              client_secret: gateway.secret,
              client_name: "Portcullis",
              redirect_uris: [gateway.redirectUri],
              application_type: "native",
              token_endpoint_auth_method: "client_secret_basic",
              grant_types: ["authorization_code", "refresh_token"],
              response_types: ["code"],
            },
          ]
        : []),
    ],
    pkce: { required: () => true },
    clientBasedCORS: () => true,
    findAccount: (_ctx, sub) =>
      sub === ADA.id
        ? {
            accountId: sub,
            claims: async () => ({ sub, name: ADA.name, email: ADA.email, email_verified: true }),
          }
        : undefined,
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    // A refresh token for every client that may have one, whether or not it asks for `offline_access`.
    issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed("refresh_token"),
    expiresWithSession: async () => false,
    rotateRefreshToken: true,
    renderError: (ctx, out) => {
      ctx.set(PAGE_HEADERS);
      ctx.body = errorPage(out);
    },
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      registration: { enabled: true },
      clientCredentials: { enabled: true },
      revocation: {
        enabled: true,
        allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId,
      },
      introspection: {
        enabled: true,
        // A confidential client (a gateway) may introspect every token, a public client only its own tokens.
        allowedPolicy: (_ctx, client, token) =>
          client.clientAuthMethod !== "none" || token.clientId === client.clientId,
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_ctx, _client, oneOf) => oneOf,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, resource) => {
          if (resources && !resources.includes(resource)) throw new errors.InvalidTarget();
          return {
            audience: resource,
            scope: RESOURCE_SCOPES.join(" "),
            accessTokenFormat,
            accessTokenTTL: accessTokenTtl,
            jwt: { sign: { alg: signingAlg } },
          };
        },
      },
    },
    ttl: {
      AccessToken: accessTokenTtl,
      ClientCredentials: accessTokenTtl,
      AuthorizationCode: MINUTE,
      IdToken: 10 * MINUTE,
      Interaction: 10 * MINUTE,
      RefreshToken: DAY,
      Grant: DAY,
      Session: DAY,
    },
  };
}

/** CORS: pages of any origin may read metadata and keys and call these endpoints, because none of them uses cookies. */
function allowBrowsers(request, response, path) {
  if (!path.startsWith("/.well-known/") && path !== ROUTES.jwks) {
    const open = [
      ROUTES.token,
      ROUTES.registration,
      ROUTES.revocation,
      ROUTES.introspection,
      ROUTES.userinfo,
    ];
    if (!open.includes(path)) return false;
  }
  response.setHeader("Access-Control-Allow-Origin", "*");
  response.setHeader("Access-Control-Expose-Headers", "WWW-Authenticate");
  if (request.method !== "OPTIONS") return false;
  response.setHeader("Access-Control-Allow-Methods", "GET, HEAD, POST");
  response.setHeader(
    "Access-Control-Allow-Headers",
    request.headers["access-control-request-headers"] ?? "Authorization, Content-Type",
  );
  response.setHeader("Vary", "Access-Control-Request-Headers");
  response.setHeader("Access-Control-Max-Age", "600");
  response.writeHead(204).end();
  return true;
}

const asList = (value) => (value === undefined ? [] : [value].flat());

/** Signs Ada in and grants everything that the client asked for, in one step. */
async function approve(provider, { prompt, params, session, grantId }) {
  const accountId = session?.accountId ?? ADA.id;
  const known = grantId ? await provider.Grant.find(grantId) : undefined;
  const grant =
    known?.accountId === accountId ? known : new provider.Grant({ accountId, clientId: params.client_id });
  const scopes = (params.scope ?? "").split(" ");
  grant.addOIDCScope(scopes.filter((scope) => SCOPES.includes(scope)).join(" "));
  if (prompt.details.missingOIDCClaims) grant.addOIDCClaims(prompt.details.missingOIDCClaims);
  const wanted = scopes.filter((scope) => RESOURCE_SCOPES.includes(scope)).join(" ");
  for (const resource of asList(params.resource)) grant.addResourceScope(resource, wanted);
  const consent = { grantId: await grant.save() };
  return prompt.name === "login" ? { login: { accountId }, consent } : { consent };
}

async function interact({ provider, autoLogin }, request, response, path) {
  const [, uid, abort] = path.match(/^\/interaction\/([\w-]+)(\/abort)?$/) ?? [];
  const details = await provider.interactionDetails(request, response);
  if (details.uid !== uid) throw new errors.InvalidRequest("this browser did not begin this sign-in");

  if (request.method === "POST" && abort) {
    const result = { error: "access_denied", error_description: "the user denied the request" };
    return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  }
  if (request.method === "POST" || autoLogin) {
    return provider.interactionFinished(request, response, await approve(provider, details));
  }

  const { params, session } = details;
  const client = await provider.Client.find(params.client_id);
  response.writeHead(200, PAGE_HEADERS).end(
    signInPage({
      action: `/interaction/${uid}`,
      account: ADA,
      signedIn: session?.accountId === ADA.id,
      client: client?.clientName ?? params.client_id,
      redirectUri: params.redirect_uri,
      scopes: (params.scope ?? "").split(" ").filter((scope) => SCOPES.includes(scope)),
      resources: asList(params.resource),
    }),
  );
}

/**
 * Starts the provider.
 *
 * - `port` 0 takes any free port; `host` is the address that it listens on; `publicHost` (for instance `localhost`) is
 *   the host in the issuer, where that is another one.
 * - `accessTokenFormat` is `jwt` (RFC 9068) or `opaque`; `accessTokenTtl` is in seconds; `signingAlg` is
 *   `RS256`, `ES256` or `EdDSA`.
 * - `resources` limits the resource indicators (RFC 8707) to these; without it every URL is accepted.
 * - `autoLogin` signs Ada in and consents without a page, for clients without a browser.
 * - `gateway` registers a gateway that logs people in here: `{ secret, redirectUri }`, as the client `portcullis`.
 * - `machineSecret` is the secret of the client `demo-machine` (client credentials); random when absent.
 * - `onRequest({ method, path, headers })` is called for every request.
 */
export async function startIdentityProvider({
  port = 0,
  host = "127.0.0.1",
  publicHost = host,
  accessTokenFormat = "jwt",
  accessTokenTtl = 10 * MINUTE,
  signingAlg = "RS256",
  resources,
  autoLogin = false,
  machineSecret = randomBytes(24).toString("hex"),
  gateway,
  onRequest,
} = {}) {
  const machine = { clientId: "demo-machine", clientSecret: machineSecret };
  const settings = {
    store: createStore(),
    cookieKey: randomBytes(32).toString("hex"),
    machine,
    accessTokenFormat,
    accessTokenTtl,
    signingAlg,
    resources,
    gateway,
  };
  let keys = await generateKeys();
  let provider;
  let handle;

  const server = createServer(async (request, response) => {
    const path = request.url.split("?", 1)[0];
    onRequest?.({ method: request.method, path, headers: request.headers });
    // oidc-provider takes the host of the endpoints in its metadata from the Host header: make it the issuer's for every client.
    request.headers.host = issuerHost;
    if (allowBrowsers(request, response, path)) return;
    if (!path.startsWith("/interaction/")) return handle(request, response);
    try {
      await interact({ provider, autoLogin }, request, response, path);
    } catch (error) {
      if (response.headersSent) return response.destroy();
      const { error: code = "server_error", error_description, statusCode = 500 } = error;
      if (statusCode >= 500) console.error(`identity provider: ${error.stack}`);
      response.writeHead(statusCode, PAGE_HEADERS).end(errorPage({ error: code, error_description }));
    }
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, host, resolve));

  const issuer = new URL(`http://${publicHost.includes(":") ? `[${publicHost}]` : publicHost}`);
  issuer.port = server.address().port;
  const issuerHost = issuer.host;
  const tokenListeners = new Set();

  // oidc-provider reads its keys only once, so new keys need a new instance over the same store.
  function build() {
    provider = new Provider(issuer.origin, configure({ ...settings, keys }));
    provider.on("server_error", (_ctx, error) => console.error(`identity provider: ${error.stack}`));
    provider.on("grant.success", (ctx) => {
      for (const listener of tokenListeners) listener(ctx.body);
    });
    handle = provider.callback();
  }
  build();

  return {
    issuer: issuer.origin,
    port: server.address().port,
    machine,
    get provider() {
      return provider;
    },
    /** Puts new keys first; the old ones stay in the JWKS unless `drop` is set. Returns the ids of all keys. */
    async rotateKeys({ drop = false } = {}) {
      keys = [...(await generateKeys()), ...(drop ? [] : keys)];
      build();
      return keys.map(({ kid }) => kid);
    },
    /** Calls `listener` with every token response, for tests. Returns a function that stops this. */
    onToken(listener) {
      tokenListeners.add(listener);
      return () => tokenListeners.delete(listener);
    },
    close() {
      return new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      });
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const idp = await startIdentityProvider({
    port: Number(process.env.PORT ?? 0),
    host: process.env.HOST,
    publicHost: process.env.PUBLIC_HOST,
    autoLogin: process.env.AUTO_LOGIN === "1",
    machineSecret: process.env.DEMO_MACHINE_SECRET,
  });
  console.log(`Identity provider: ${idp.issuer}`);
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => idp.close());
}
