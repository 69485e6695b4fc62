// The lines that contestants with `jose` write, with the members that those of Portcullis have (docs/log.md). As with the
// documents of portcullis.mjs, a request has a line if it was refused, and a decision by rules always has one.

const RESOURCE_PATH = "/mcp";

const write = (line) => console.log(JSON.stringify(line));

/** 128 random bits in hexadecimal digits, as ids of requests and traces have them. */
export const randomId = () => crypto.randomUUID().replaceAll("-", "");

/** The line of a request that was refused. `received` and `verified` are times; `message` and `caller` may be unknown. */
export function logRefused({ id, received, verified, message, caller }, request, { status, reason }) {
  write({
    v: 1,
    event: "request",
    time: new Date(received).toISOString(),
    request_id: id,
    trace_id: randomId(),
    method: request.method,
    resource: RESOURCE_PATH,
    era: "modern",
    mcp_method: message?.method,
    mcp_name: message?.params?.name,
    ...caller,
    decision: "deny",
    reason,
    status,
    duration_ms: Date.now() - received,
    authentication_ms: verified - received,
  });
}

/** The isolate whose lines these are, and how many it has written. */
let run;
let count = 0;

/** The line of a decision by rules. Portcullis's line also has an HMAC of the arguments, and hashes that chain the lines. */
export function logDecision({ id, message, caller }, { allowed, rule }, scopes) {
  run ??= randomId().slice(16);
  write({
    v: 1,
    event: "decision",
    time: new Date().toISOString(),
    request_id: id,
    resource: RESOURCE_PATH,
    policy: "bench",
    mcp_method: message.method,
    ...(message.method === "tools/call" && { target: "tool", name: message.params?.name }),
    verdict: allowed ? "allow" : "deny",
    rule,
    enforced: true,
    ...caller,
    scopes,
    mtls: false,
    run,
    seq: count,
  });
  count += 1;
}
