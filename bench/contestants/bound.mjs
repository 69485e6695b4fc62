// A gateway in JavaScript with what every request through Portcullis needs, and without any check: it finds the plan of a request by
// the text of its head, sends the plan's fields with two new ids, limits the wait, passes the platform's streams, and answers with
// the fields of an allow-list. A gateway that does all of that cannot cost less, in whatever language it decides.
const FROM_CLIENT = [
  "accept",
  "accept-language",
  "content-type",
  "last-event-id",
  "mcp-method",
  "mcp-name",
  "mcp-protocol-version",
  "mcp-session-id",
  "user-agent",
];
const FROM_ORIGIN = new Set([
  "allow",
  "cache-control",
  "content-encoding",
  "content-language",
  "content-length",
  "content-type",
  "last-event-id",
  "last-modified",
  "mcp-protocol-version",
  "mcp-session-id",
  "retry-after",
  "x-accel-buffering",
]);
const IDENTITY = [
  "x-portcullis-client",
  "x-portcullis-issuer",
  "x-portcullis-scopes",
  "x-portcullis-subject",
];
const OWN = {
  "cache-control": "no-store",
  vary: "origin, access-control-request-headers",
  "x-content-type-options": "nosniff",
};
const TIMEOUT = 30_000;

/** The random bytes that the ids are made of, fetched in blocks. */
const pool = new Uint8Array(4096);
let used = pool.length;

function id(bytes) {
  if (used + bytes > pool.length) {
    crypto.getRandomValues(pool);
    used = 0;
  }
  used += bytes;
  return pool.subarray(used - bytes, used).toHex();
}

const plans = new Map();

function makePlan(request) {
  const headers = new Headers({ "accept-encoding": "identity" });
  for (const name of FROM_CLIENT) {
    const value = request.headers.get(name);
    if (value !== null) headers.set(name, value);
  }
  for (const name of IDENTITY) headers.set(name, "user-of-the-bench");
  return { headers };
}

function respond(answer, requestId) {
  const headers = { ...OWN, "x-request-id": requestId };
  for (const [name, value] of answer.headers) if (FROM_ORIGIN.has(name)) headers[name] = value;
  return new Response(answer.body, { status: answer.status, headers });
}

export default {
  fetch(request, env) {
    const head = `${request.method}\n${request.url}\n${[...request.headers].join("\n")}`;
    let plan = plans.get(head);
    if (plan === undefined) {
      plan = makePlan(request);
      plans.set(head, plan);
    }
    const requestId = id(16);
    plan.headers.set("x-request-id", requestId);
    plan.headers.set("traceparent", `00-${id(16)}-${id(8)}-00`);
    const { method, body, signal } = request;
    const init = { method, headers: plan.headers, body, redirect: "manual", signal };
    return new Promise((resolve, reject) => {
      setTimeout(reject, TIMEOUT);
      fetch(env.ORIGIN, init).then((answer) => resolve(respond(answer, requestId)), reject);
    });
  },
};
