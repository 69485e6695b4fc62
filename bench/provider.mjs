// Gets an access token of workers-oauth-provider by its own flow: client, authorization code with PKCE, token.
import { createHash, randomBytes } from "node:crypto";
import { exchange } from "./http.mjs";
import { GATE, REDIRECT, RESOURCE, SCOPE } from "./names.mjs";

const fields = { host: new URL(GATE).host, "x-forwarded-proto": "https" };
const get = (path) => ({ method: "GET", path, fields });

export async function providerToken(port) {
  const client = JSON.parse((await exchange(port, get("/client"))).body);
  const verifier = randomBytes(32).toString("base64url");
  const query = new URLSearchParams({
    response_type: "code",
    client_id: client.clientId,
    redirect_uri: REDIRECT,
    scope: SCOPE,
    resource: RESOURCE,
    state: "state",
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
  });
  const consent = await exchange(port, get(`/authorize?${query}`));
  if (consent.status !== 302) throw new Error(`workers-oauth-provider: ${consent.status} ${consent.body}`);
  const body = new URLSearchParams({
    grant_type: "authorization_code",
    code: new URL(consent.fields.location).searchParams.get("code"),
    client_id: client.clientId,
    redirect_uri: REDIRECT,
    code_verifier: verifier,
    resource: RESOURCE,
  }).toString();
  const form = { "content-type": "application/x-www-form-urlencoded", "content-length": body.length };
  const answer = await exchange(port, {
    method: "POST",
    path: "/token",
    fields: { ...fields, ...form },
    body,
  });
  const { access_token: token } = JSON.parse(answer.body);
  if (!token) throw new Error(`workers-oauth-provider: ${answer.status} ${answer.body}`);
  return token;
}
