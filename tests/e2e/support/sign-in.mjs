// A client that signs Ada in with an authorization code, and shows all tokens that it got for it.
import { createHash, randomBytes } from "node:crypto";
import { authorizeHeadlessly } from "./token.mjs";

const REDIRECT_URI = "http://127.0.0.1:9/callback";

async function call(url, options) {
  const response = await fetch(url, { ...options, signal: AbortSignal.timeout(10_000) });
  const answer = await response.json();
  if (!response.ok)
    throw new Error(`${url}: ${response.status} ${answer.error}: ${answer.error_description}`);
  return answer;
}

/** Registers, authorizes with PKCE, redeems the code: `{ access_token, id_token, … , clientId }`. */
export async function signIn(idp, { resource, scope = "openid mcp:tools", nonce } = {}) {
  const metadata = await call(`${idp.issuer}/.well-known/openid-configuration`);
  const client = await call(metadata.registration_endpoint, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      redirect_uris: [REDIRECT_URI],
      token_endpoint_auth_method: "none",
      application_type: "native",
      grant_types: ["authorization_code"],
      response_types: ["code"],
    }),
  });
  const verifier = randomBytes(32).toString("base64url");
  const authorization = new URL(metadata.authorization_endpoint);
  const parameters = {
    client_id: client.client_id,
    response_type: "code",
    redirect_uri: REDIRECT_URI,
    scope,
    resource,
    state: "state",
    ...(nonce ? { nonce } : {}),
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(parameters)) authorization.searchParams.set(name, value);
  const callback = await authorizeHeadlessly(authorization);
  const tokens = await call(metadata.token_endpoint, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "authorization_code",
      client_id: client.client_id,
      redirect_uri: REDIRECT_URI,
      code: callback.searchParams.get("code"),
      code_verifier: verifier,
      resource,
    }),
  });
  return { ...tokens, clientId: client.client_id };
}
