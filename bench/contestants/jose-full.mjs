// What a user would write instead of `portcullis:rules`: `jose.mjs`, and tool rules, a line for each decision and an identity
// assertion. log.mjs and assertion.mjs say what Portcullis does more there. It also sends the caller and a `traceparent` to the
// origin server, limits sizes and times, and sets fields of the response.
import { assertionFor, pseudonym } from "./assertion.mjs";
import { forward } from "./forward.mjs";
import { logDecision, logRefused, randomId } from "./log.mjs";
import { refuse, verify } from "./verify.mjs";

const INVALID_PARAMS = -32602;
const INVALID_REQUEST = -32600;

/** The decision of the rules about a message. */
function decide({ method, params }) {
  if (method !== "tools/call") return { allowed: true, rule: "(protocol)" };
  if (String(params?.name).startsWith("read_")) return { allowed: true, rule: "read" };
  return { allowed: false, rule: "(default)" };
}

function failed({ id, message }, status, code, text) {
  const error = { code, data: { request: id }, message: text };
  return Response.json({ error, id: message?.id ?? null, jsonrpc: "2.0" }, { status });
}

/** The message in a body; undefined if there is none with a method. */
function parsed(body) {
  try {
    const message = JSON.parse(new TextDecoder().decode(body));
    return typeof message.method === "string" ? message : undefined;
  } catch {
    return undefined;
  }
}

export default {
  async fetch(request, env) {
    const received = Date.now();
    const { claims, ...refusal } = await verify(request, env);
    const known = { id: randomId(), received, verified: Date.now(), claims };
    if (!claims) {
      logRefused(known, request, refusal);
      return refuse(refusal);
    }
    known.caller = { issuer: "idp", client: claims.client_id, subject: await pseudonym(claims) };
    // The bytes as they came are what is forwarded.
    const body = await request.arrayBuffer();
    known.message = parsed(body);
    if (known.message === undefined) {
      logRefused(known, request, { status: 400, reason: "body_malformed" });
      return failed(known, 400, INVALID_REQUEST, "The body is no request of JSON-RPC.");
    }
    const decision = decide(known.message);
    logDecision(known, decision, claims.scope);
    if (!decision.allowed) {
      logRefused(known, request, { status: 200, reason: "not_permitted" });
      return failed(known, 200, INVALID_PARAMS, "Unknown tool.");
    }
    return forward(request, env, { body, assertion: await assertionFor(known, env) });
  },
};
