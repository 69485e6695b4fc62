// The gateway as authorization server, before an identity provider that is as hostile as real ones: it registers nobody,
// refuses `resource`, and sends users back to one place alone.
import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import Provider, { errors } from "oidc-provider";
import { createStore } from "../../../examples/identity-provider/store.mjs";
import { startOrigin } from "../../../examples/origin/server.mjs";
import { startGateway } from "./gateway.mjs";
import { freePort } from "./processes.mjs";
import { remember, rememberSecret } from "./secrets.mjs";
import { authorizeHeadlessly } from "./token.mjs";

const secret = () => randomBytes(24).toString("base64url");

export const CALLBACK = "http://127.0.0.1:9/callback";
export const WEB_CALLBACK = "https://app.example/callback";

const privateJwk = () => ({
  ...generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" }),
});

/**
 * Starts the identity provider. Who logs in is `user` of what is returned: `{ sub, …claims }`; where it is undefined, login is
 * refused. `mischief` changes its answers: see where it is used.
 */
export async function startLoginProvider({ redirectUri, registration = false, port = 0, clients = [] }) {
  const client = { id: "portcullis", secret: `${secret()}+/%41 &=:` };
  const key = { ...privateJwk(), kid: "one", alg: "ES256", use: "sig" };
  const state = {
    user: { sub: "ada", email: "ada@acme.example", email_verified: true, groups: ["tools"] },
    mischief: {},
  };
  const requests = [];
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, issuer);
    requests.push({ path: url.pathname, url });
    if (url.searchParams.has("resource")) return response.writeHead(400).end("AADSTS9010010");
    if (state.mischief.down) return response.writeHead(503).end("down");
    if (!url.pathname.startsWith("/interaction/")) return provider.callback()(request, response);
    try {
      const { prompt, params, grantId } = await provider.interactionDetails(request, response);
      if (state.user === undefined) {
        const refusal = { error: "access_denied", error_description: "no" };
        return await provider.interactionFinished(request, response, refusal, {
          mergeWithLastSubmission: false,
        });
      }
      const grant =
        (grantId && (await provider.Grant.find(grantId))) ||
        new provider.Grant({ accountId: state.user.sub, clientId: params.client_id });
      grant.addOIDCScope("openid profile email offline_access");
      const consent = { grantId: await grant.save() };
      // How the user signs in, if that matters: `acr`, `amr`, `ts`.
      const login = { accountId: state.user.sub, ...state.mischief.signIn };
      await provider.interactionFinished(
        request,
        response,
        prompt.name === "login" ? { login, consent } : { consent },
      );
    } catch (error) {
      response.writeHead(500).end(error.message);
    }
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    adapter: createStore(),
    jwks: { keys: [key] },
    cookies: { keys: [secret()] },
    clients: registration
      ? clients
      : [
          ...clients,
          {
            client_id: client.id,
            client_secret: client.secret,
            redirect_uris: [redirectUri],
            grant_types: ["authorization_code", "refresh_token"],
            response_types: ["code"],
            id_token_signed_response_alg: "ES256",
          },
        ],
    clientDefaults: { id_token_signed_response_alg: "ES256" },
    acrValues: ["gold", "silver"],
    // Each login is a new one: the user may have changed.
    cookiesExpire: 0,
    findAccount: (_ctx, id) =>
      state.mischief.forgets === id
        ? undefined
        : { accountId: id, claims: () => ({ ...state.user, sub: id, ...state.mischief.claims }) },
    claims: { openid: ["sub", "groups", "amr"], email: ["email", "email_verified"], profile: ["name", "hd"] },
    conformIdTokenClaims: false,
    issueRefreshToken: async () => true,
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      registration: { enabled: registration },
      revocation: { enabled: true },
      resourceIndicators: { enabled: false },
    },
    pkce: { required: () => true },
  });
  provider.on("server_error", (_ctx, error) => console.error(`login provider: ${error.stack}`));
  rememberSecret(client.secret);
  return {
    issuer,
    client,
    requests,
    provider,
    errors,
    /** Its private signing key. */
    key,
    get user() {
      return state.user;
    },
    set user(user) {
      state.user = user;
    },
    mischief: state.mischief,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

/**
 * Starts provider, origin server and gateway. `server` changes the authorization server's table, or is a function of the provider
 * that gives the changes; `login` changes the one in it, and `changes` the document. The provider also knows `clients`.
 */
export async function startLogin({
  server = {},
  login = {},
  resource = {},
  changes = {},
  secrets = {},
  registration = false,
  clients,
  persist,
  ports,
  outbound,
  origin: givenOrigin,
  build,
  queues,
  isolates,
  cf,
} = {}) {
  const port = ports?.gateway ?? (await freePort());
  const url = changes.public_url ?? `http://127.0.0.1:${port}`;
  const path = typeof server === "function" ? "" : (server.path ?? "");
  const idp = await startLoginProvider({
    redirectUri: `${url}${path}/callback`,
    registration,
    clients,
    port: ports?.provider ?? 0,
  });
  const origin = givenOrigin ?? (await startOrigin());
  const own = {
    AS_KEY: JSON.stringify(privateJwk()),
    AS_SECRET: secret() + secret(),
    IDP_SECRET: idp.client.secret,
    ADMIN_SECRET: secret() + secret(),
    DOCTOR_SECRET: secret() + secret(),
    ...secrets,
  };
  const table = {
    key_secrets: ["AS_KEY"],
    secrets: ["AS_SECRET"],
    binding: "AUTHORIZATION",
    registration: "open",
    admin_secret: "ADMIN_SECRET",
    scopes: { "mcp:tools": "Use the tools of this server" },
    ...(typeof server === "function" ? server(idp) : server),
    login: {
      issuer: idp.issuer,
      ...(registration ? {} : { client_id: idp.client.id, secret: "IDP_SECRET" }),
      anyone: true,
      ...login,
    },
  };
  const gateway = await startGateway({
    port,
    secrets: own,
    persist,
    outbound,
    build,
    queues,
    isolates,
    cf,
    objects: {
      AUTHORIZATION: { className: "AuthorizationRecords", useSQLite: true },
      DIRECTORY: { className: "Directory", useSQLite: true },
    },
    config: {
      public_url: url,
      development: true,
      authorization_server: table,
      resources: [
        {
          path: "/mcp",
          origin: origin.url,
          issuers: [table.name ?? "portcullis"],
          scopes: ["mcp:tools"],
          ...resource,
        },
      ],
      ...changes,
    },
  });
  const issuer = `${url}${path}`;
  const scene = {
    idp,
    origin,
    gateway,
    url,
    issuer,
    secrets: own,
    resource: `${url}/mcp`,
    /** Registers a client. */
    async register(metadata = {}) {
      const response = await fetch(`${issuer}/register`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({
          client_name: "Test client",
          redirect_uris: [CALLBACK],
          token_endpoint_auth_method: "none",
          grant_types: ["authorization_code", "refresh_token"],
          ...metadata,
        }),
      });
      return { status: response.status, body: await response.json() };
    },
    /** An authorization URL and the verifier that goes with it. */
    authorization(clientId, changed = {}) {
      const verifier = randomBytes(32).toString("base64url");
      const target = new URL(`${issuer}/authorize`);
      const parameters = {
        response_type: "code",
        client_id: clientId,
        redirect_uri: CALLBACK,
        scope: "mcp:tools",
        state: "the state",
        resource: `${url}/mcp`,
        code_challenge: createHash("sha256").update(verifier).digest("base64url"),
        code_challenge_method: "S256",
        ...changed,
      };
      for (const [name, value] of Object.entries(parameters))
        if (value !== undefined) target.searchParams.set(name, value);
      return { target, verifier };
    },
    /** A token request: status, fields and body. */
    async token(parameters, headers = {}) {
      const response = await fetch(`${issuer}/token`, {
        method: "POST",
        headers,
        body: new URLSearchParams(parameters),
      });
      const body = await response.json();
      for (const name of ["access_token", "refresh_token"]) if (body[name]) remember(body[name]);
      return { status: response.status, headers: response.headers, body };
    },
    /** A whole login of a client: its tokens. */
    async login({ client, parameters = {}, jar, seen } = {}) {
      const known = client ?? (await scene.register()).body;
      const { target, verifier } = scene.authorization(known.client_id, parameters);
      const back = await authorizeHeadlessly(target, { jar, seen });
      const code = back.searchParams.get("code");
      if (code === null) throw new Error(`no code: ${back.search}`);
      const answer = await scene.token({
        grant_type: "authorization_code",
        client_id: known.client_id,
        redirect_uri: target.searchParams.get("redirect_uri"),
        code,
        code_verifier: verifier,
        resource: scene.resource,
      });
      return { client: known, code, verifier, back, ...answer };
    },
    /** A call of a tool with a token: the status. */
    async call(token) {
      const response = await fetch(scene.resource, {
        method: "POST",
        headers: {
          Authorization: `Bearer ${token}`,
          "Content-Type": "application/json",
          Accept: "application/json, text/event-stream",
          "MCP-Protocol-Version": "2025-11-25",
        },
        body: JSON.stringify({
          jsonrpc: "2.0",
          id: 1,
          method: "tools/call",
          params: { name: "add", arguments: { a: 19, b: 23 } },
        }),
      });
      return { status: response.status, text: await response.text() };
    },
    /** What administrators ask. */
    async admin(question, token = own.ADMIN_SECRET) {
      const response = await fetch(`${issuer}/admin`, {
        method: "POST",
        headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
        body: JSON.stringify(question),
      });
      return { status: response.status, body: await response.json() };
    },
    close: () => Promise.all([gateway.close(), idp.close(), origin.close()]),
  };
  return scene;
}
