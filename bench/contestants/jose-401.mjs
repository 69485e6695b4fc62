// `jose.mjs`, and a refusal has what Portcullis's has: the challenge with a description, the same fields, a JSON-RPC error with
// the id of the request, and a line in the log.
import { SCOPE } from "../names.mjs";
import { forward } from "./forward.mjs";
import { logRefused, randomId } from "./log.mjs";
import { METADATA, verify } from "./verify.mjs";

const MESSAGES = {
  no_credentials: "Authentication is required.",
  token_expired: "The access token has expired.",
  token_invalid: "The access token is not accepted here.",
  insufficient_scope: "The access token lacks a scope that this needs.",
};

/** The fields that do not depend on the request. */
const FIELDS = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "content-type": "application/json",
  "referrer-policy": "no-referrer",
  "strict-transport-security": "max-age=31536000",
  vary: "origin, access-control-request-headers",
  "x-content-type-options": "nosniff",
};

function refuse(id, { status, error, reason }) {
  const message = MESSAGES[reason];
  const why = error ? `error="${error}", error_description="${message}", ` : "";
  const body = { error: { code: status, data: { request: id }, message }, id: null, jsonrpc: "2.0" };
  const headers = {
    ...FIELDS,
    "www-authenticate": `Bearer ${why}scope="${SCOPE}", resource_metadata="${METADATA}"`,
    "x-request-id": id,
  };
  return new Response(JSON.stringify(body), { status, headers });
}

export default {
  async fetch(request, env) {
    const received = Date.now();
    const { claims, ...refusal } = await verify(request, env);
    if (claims) return forward(request, env);
    const id = randomId();
    logRefused({ id, received, verified: Date.now() }, request, refusal);
    return refuse(id, refusal);
  },
};
