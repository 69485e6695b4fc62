// What every refusal has in common, and what its one line in the log says.
import assert from "node:assert/strict";
import { eventually } from "./http.mjs";
import { ALGORITHMS } from "./issuer.mjs";

const SECURITY_FIELDS = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

const MESSAGES = {
  invalid_token: "The access token is not accepted here.",
  insufficient_scope: "The access token lacks a scope that this needs.",
  invalid_dpop_proof: "The DPoP proof is not accepted.",
  use_dpop_nonce: "The DPoP proof needs the nonce that is sent with this answer.",
};

/**
 * The challenge as RFC 6750 §3, RFC 9449 §7.1 and RFC 9728 §5.1 write it; without `error` for a request without
 * credentials.
 */
export function challengeOf({ scheme = "Bearer", error, message = MESSAGES[error], scope, metadata, realm }) {
  const parameters = [
    ...(error ? [`error="${error}"`, `error_description="${message}"`] : []),
    ...(scope ? [`scope="${scope}"`] : []),
    ...(scheme === "DPoP" ? [`algs="${ALGORITHMS.join(" ")}"`] : []),
    metadata ? `resource_metadata="${metadata}"` : `realm="${realm}"`,
  ];
  return `${scheme} ${parameters.join(", ")}`;
}

/** The line of the log for the request with this answer: there must be one, and only one. */
export async function lineOf(gateway, answer) {
  const id = answer.fields["x-request-id"];
  assert.match(id, /^[0-9a-f]{32}$/, "an answer of the gateway has the request's id");
  const lines = () =>
    gateway.events().filter(({ event, request_id: of }) => event === "request" && of === id);
  await eventually(`the line of request ${id}`, () => lines().length > 0);
  assert.equal(lines().length, 1, "one request writes one line");
  return lines()[0];
}

/**
 * Holds an answer to what a refusal must look like. `challenge`, `allow` and `retryAfter` are the exact values,
 * and absent where they are not given.
 */
export async function assertRefused(
  gateway,
  answer,
  { status, reason, challenge, allow, retryAfter, id = null, resource, head = false },
) {
  assert.equal(answer.status, status, answer.body);
  assert.ok(answer.complete, "the answer came to its end");
  assert.equal(answer.fields["www-authenticate"], challenge, "the challenge");
  assert.equal(answer.fields.allow, allow, "Allow");
  assert.equal(answer.fields["retry-after"], retryAfter, "Retry-After");
  assert.equal(answer.fields["content-type"], "application/json");
  for (const [name, value] of Object.entries(SECURITY_FIELDS)) assert.equal(answer.fields[name], value, name);
  for (const name of ["server", "x-powered-by", "set-cookie"]) assert.ok(!(name in answer.fields), name);

  if (head) assert.equal(answer.body, "");
  else assertErrorBody(answer, { status, id });

  const line = await lineOf(gateway, answer);
  assert.equal(line.decision, "deny");
  assert.equal(line.reason, reason);
  assert.equal(line.status, status);
  assert.equal(line.v, 1);
  assert.match(line.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.match(line.trace_id, /^[0-9a-f]{32}$/);
  if (resource !== undefined) assert.equal(line.resource, resource);
  return line;
}

/** A JSON-RPC error response (T32): our own code, outside what JSON-RPC and MCP keep for themselves. */
function assertErrorBody(answer, { status, id }) {
  const { error, ...envelope } = answer.json();
  assert.deepEqual(envelope, { jsonrpc: "2.0", id });
  const { message, ...rest } = error;
  assert.deepEqual(rest, { code: status, data: { request: answer.fields["x-request-id"] } });
  assert.match(message, /^[A-Z][A-Za-z ,/-]+\.$/, "a sentence of ours, without a part of the request");
  const description = answer.fields["www-authenticate"]?.match(/error_description="([^"]*)"/)?.[1];
  if (description !== undefined) assert.equal(message, description);
}
