/**
 * A request whose head occurred before is not decided again, and where nothing has to be recorded its answer does not visit the
 * core. Beside it stands a gateway whose driver always decides: callers and origin servers must not be able to tell them apart.
 */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chunked, eventually, headOf, send } from "./support/http.mjs";
import { claimsFor, makeKey, signToken } from "./support/issuer.mjs";
import { startWitness } from "./support/origin.mjs";
import { shape } from "./support/policy.mjs";
import { CALL, LEGACY, MODERN, startScene } from "./support/scene.mjs";
import { startInWorkerd } from "./support/workerd.mjs";

const PUBLIC_URL = "https://gate.example";
const RESOURCE = `${PUBLIC_URL}/mcp`;
const ISSUER = "https://login.example";
const BODY = JSON.stringify({ jsonrpc: "2.0", id: 7, method: "tools/list", params: {} });
/** From this request on, the head is remembered: the first one verifies the token, the second one makes the decision. */
const REPEATED = 4;

let key;
let origin;
let gateways;

function start(vars) {
  const config = {
    public_url: PUBLIC_URL,
    issuers: [{ name: "idp", issuer: ISSUER, public_key: key.pem, algorithms: ["RS256"] }],
    resources: [
      { path: "/mcp", origin: "https://tools.example/mcp", issuers: ["idp"], scopes: ["mcp:tools"] },
    ],
    log: { requests: "refused" },
  };
  return startInWorkerd(config, vars, origin.authority);
}

before(
  async () => {
    key = await makeKey();
    origin = await startWitness();
    gateways = await Promise.all([start({}), start({ PORTCULLIS_DRIVER: "core" })]);
  },
  { timeout: 60_000 },
);
after(() => Promise.all([...(gateways ?? []).map((gateway) => gateway.close()), origin?.close()]));
beforeEach(() => origin.reset());

const token = (changes) => signToken(claimsFor(ISSUER, RESOURCE, changes), key);

async function fieldsFor(more, claims) {
  return {
    Host: "gate.example",
    "X-Forwarded-Proto": "https",
    Authorization: `Bearer ${await token(claims)}`,
    "Content-Type": "application/json",
    ...more,
  };
}

const post = (gateway, fields, more = {}) =>
  send(gateway, { method: "POST", port: gateway.port, fields, body: BODY, ...more });

/** An answer without what is new in each, its fields in the order of their names. */
const comparable = (answer) => {
  const { status, fields, body } = shape({ ...answer, fields: { "x-request-id": "none", ...answer.fields } });
  return { status, fields: fields.toSorted(), body, complete: answer.complete };
};

/** A request as it arrived, without what is new in each. */
const seen = ({ method, url, headers, body }) => {
  const { traceparent, ...fields } = headers;
  assert.match(traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/);
  return { method, url, fields, body };
};

/** Sends the same request several times through both gateways; the answers, the requests that arrived and the lines of the log. */
async function both(fields, answer, more) {
  const results = [];
  for (const gateway of gateways) {
    origin.reset(answer);
    const lines = gateway.events().length;
    const answers = [];
    for (let at = 0; at < REPEATED; at += 1) answers.push(await post(gateway, fields, more));
    const arrived = [...origin.requests];
    const log = gateway
      .events()
      .slice(lines)
      .map(({ reason, status, detail }) => ({ reason, status, detail }));
    results.push({ answers, arrived, log });
  }
  return results;
}

const ANSWERS = {
  JSON: [200, { "content-type": "application/json" }, '{"jsonrpc":"2.0","id":7,"result":{}}'],
  "many fields that the gateway drops": [
    200,
    {
      "content-type": "application/json",
      "set-cookie": "a=1",
      server: "x",
      "access-control-allow-origin": "*",
    },
    "{}",
  ],
  "fields that it forwards": [
    200,
    {
      "content-type": "application/json",
      "mcp-session-id": "s1",
      "content-language": "de",
      "last-modified": "x",
    },
    "{}",
  ],
  "a public cache policy": [
    200,
    { "content-type": "application/json", "cache-control": "public, max-age=9" },
    "{}",
  ],
  "a private cache policy": [200, { "content-type": "application/json", "cache-control": "private" }, "{}"],
  "no-cache": [200, { "content-type": "application/json", "cache-control": "no-cache" }, "{}"],
  "a field that is not plain": [
    200,
    { "content-type": "application/json", "content-language": Buffer.from("\u00e9").toString("latin1") },
    "{}",
  ],
  "a content coding": [200, { "content-type": "application/json", "content-encoding": "zstd" }, "x"],
  events: [200, { "content-type": "text/event-stream" }, "data: 1\n\ndata: 2\n\n"],
  "a large body": [200, { "content-type": "application/json" }, "x".repeat(300_000)],
  "no body": [202, {}, ""],
  "no content": [204, {}, ""],
  "an error of the protocol": [400, { "content-type": "application/json" }, '{"error":{}}'],
  "not found": [404, {}, ""],
  "a failure": [500, { "content-type": "text/plain" }, "stack trace"],
  "a redirect": [302, { location: "https://evil.example/?token=1" }, ""],
  "a challenge": [401, { "www-authenticate": "Bearer" }, ""],
};

for (const [era, version] of Object.entries({ modern: MODERN, legacy: LEGACY })) {
  describe(`${era}: the answer to a repeated request`, () => {
    for (const [what, [status, fields, body]] of Object.entries(ANSWERS)) {
      test(what, async () => {
        const good = await fieldsFor(version);
        // The first requests are answered as usual, so that they are remembered.
        let turn = 0;
        const answer = (_, response) => {
          turn += 1;
          const usual = turn % REPEATED !== 0;
          if (usual) response.writeHead(200, { "content-type": "application/json" }).end("{}");
          else response.writeHead(status, fields).end(body);
        };
        const [shell, core] = await both(good, answer);
        assert.deepEqual(shell.answers.map(comparable), core.answers.map(comparable));
        assert.deepEqual(shell.arrived.map(seen), core.arrived.map(seen));
        assert.deepEqual(shell.log, core.log);
        const ids = shell.answers.map(({ fields }) => fields["x-request-id"]);
        assert.equal(new Set(ids).size, REPEATED, "each has an id of its own");
        const traces = shell.arrived.map(({ headers }) => headers.traceparent);
        assert.equal(new Set(traces).size, REPEATED, "and a trace of its own");
      });
    }
  });
}

test("the length of an answer is announced", async () => {
  const [shell] = await both(await fieldsFor(MODERN), (_, response) =>
    response.writeHead(200, { "content-length": 5 }).end("12345"),
  );
  assert.deepEqual(
    shell.answers.map(({ fields }) => fields["content-length"]),
    Array.from({ length: REPEATED }, () => "5"),
  );
});

test("each request brings its own body and its own trace", async () => {
  const [gateway] = gateways;
  const fields = await fieldsFor(MODERN);
  for (let at = 0; at < 6; at += 1) {
    const traced = at % 2 === 0 && {
      Traceparent: `00-0af7651916cd43dd8448eb211c80319${at}-b7ad6b7169203331-01`,
      Tracestate: `a=${at}`,
    };
    const body = JSON.stringify({ jsonrpc: "2.0", id: at, method: "ping" }).padEnd(60 + at);
    const answer = await post(gateway, { ...fields, ...traced }, { body });
    assert.equal(answer.status, 200);
    assert.equal(answer.json().id, at);
    const { headers, body: sent } = origin.requests.at(-1);
    assert.equal(sent, body);
    assert.equal(headers["content-length"], String(body.length));
    assert.equal(headers.tracestate, traced ? `a=${at}` : undefined);
    if (traced)
      assert.ok(headers.traceparent.startsWith(traced.Traceparent.slice(0, 36)), headers.traceparent);
  }
});

test("requests that wait for their bodies at the same time keep their traces", async () => {
  const [gateway] = gateways;
  const fields = { ...(await fieldsFor(MODERN)), "Transfer-Encoding": "chunked" };
  const traced = (digit) => ({ ...fields, Traceparent: `00-${digit.repeat(32)}-${digit.repeat(16)}-01` });
  const whole = (more) => post(gateway, more, { body: chunked([BODY]) });
  for (let at = 0; at < REPEATED; at += 1) assert.equal((await whole(traced("3"))).status, 200);
  origin.reset();
  const socket = connect(gateway.port, "127.0.0.1");
  socket.on("error", () => {});
  const [first, rest] = [BODY.slice(0, 5), BODY.slice(5)];
  socket.write(headOf(gateway, { method: "POST", fields: traced("1") }));
  socket.write(chunked([first], { end: false }));
  await sleep(200);
  assert.equal((await whole(traced("2"))).status, 200);
  socket.write(chunked([rest]));
  await origin.arrived(2);
  socket.destroy();
  assert.deepEqual(
    origin.requests.map(({ headers, body }) => [headers.traceparent.slice(3, 35), body]),
    [
      ["2".repeat(32), BODY],
      ["1".repeat(32), BODY],
    ],
  );
});

test("two callers that take turns never get each other's identity", async () => {
  const [gateway] = gateways;
  const callers = await Promise.all(["ada", "bob"].map((sub) => fieldsFor(MODERN, { sub })));
  for (let at = 0; at < 12; at += 1) {
    await post(gateway, callers[at % 2]);
    assert.equal(origin.requests.at(-1).headers["x-portcullis-subject"], at % 2 === 0 ? "ada" : "bob");
  }
});

test("a token that expires is rejected from then on", async () => {
  const [gateway] = gateways;
  const now = Math.floor(Date.now() / 1000);
  // The leeway is 30 seconds.
  const fields = await fieldsFor(MODERN, { exp: now - 27 });
  const statuses = [];
  for (let at = 0; at < 14; at += 1) {
    statuses.push((await post(gateway, fields)).status);
    await sleep(400);
  }
  assert.deepEqual([statuses[0], statuses[3], statuses.at(-1)], [200, 200, 401], statuses.join());
});

test("a body that is larger than allowed is rejected", async () => {
  const [gateway] = gateways;
  const fields = await fieldsFor(MODERN);
  for (let at = 0; at < REPEATED; at += 1) assert.equal((await post(gateway, fields)).status, 200);
  const answer = await post(gateway, { ...fields, "Content-Length": "5000000" }, { body: "{}" });
  assert.equal(answer.status, 413);
});

describe("of a repeated request", () => {
  let gateway;
  let fields;
  beforeEach(async () => {
    [gateway] = gateways;
    fields = await fieldsFor(MODERN);
    for (let at = 0; at < REPEATED; at += 1) assert.equal((await post(gateway, fields)).status, 200);
    origin.reset();
  });

  test("half a body never becomes a complete request", async () => {
    const half = { ...fields, "Content-Length": "1000" };
    const answer = await post(gateway, half, { body: '{"jsonrpc"', halfClose: true, port: gateway.port });
    assert.ok(answer.status >= 400, String(answer.status));
    await sleep(300);
    for (const { complete } of origin.requests) assert.equal(complete, false);
  });

  test("an origin server that hangs up is 502, with a line in the log", async () => {
    origin.answer = (request) => request.socket.destroy();
    const lines = gateway.events().length;
    const answer = await post(gateway, fields);
    assert.equal(answer.status, 502);
    assert.equal(answer.json().id, null, "the message passed as a stream");
    const [line] = gateway.events().slice(lines);
    assert.equal(line.reason, "origin_unreachable");
    assert.equal(line.request_id, answer.fields["x-request-id"]);
    assert.equal(line.token_cache, "hit");
    origin.reset();
    assert.equal((await post(gateway, fields)).status, 200);
  });
});

test("a caller that disconnects during a repeated request is in the log, and its request is cancelled", async () => {
  const scene = await startScene({ changes: () => ({ log: { requests: "refused" } }) });
  try {
    const fields = await scene.fields(MODERN);
    for (let at = 0; at < REPEATED; at += 1)
      assert.equal((await scene.post({ fields: MODERN, token: fields.Authorization.slice(7) })).status, 200);
    scene.origin.reset(() => {});
    const lines = scene.gateway.events().length;
    const socket = connect(scene.gateway.directPort, "127.0.0.1");
    socket.on("error", () => {});
    const body = JSON.stringify(CALL);
    socket.write(headOf(scene.gateway, { method: "POST", fields, body }));
    socket.write(body);
    await scene.origin.arrived();
    socket.resetAndDestroy();
    await eventually("the cancellation", () => scene.origin.only().cancelled);
    await eventually("the line", () => scene.gateway.events().length > lines);
    assert.deepEqual(
      scene.gateway
        .events()
        .slice(lines)
        .map(({ reason, token_cache }) => [reason, token_cache]),
      [["caller_gone", "hit"]],
    );
  } finally {
    await scene.close();
  }
});
