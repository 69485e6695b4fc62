/** What an origin server gets of a request, and what a caller gets of the answer: at the built Worker, in workerd. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { send } from "./support/http.mjs";
import { answerOk } from "./support/origin.mjs";
import { lineOf } from "./support/refusal.mjs";
import { CALL, LEGACY, MODERN, startScene } from "./support/scene.mjs";

const PAGE = "https://app.example";

let scene;
before(
  async () => {
    scene = await startScene({ changes: () => ({ allowed_origins: [PAGE] }) });
  },
  { timeout: 60_000 },
);
after(() => scene?.close());
beforeEach(() => scene.origin.reset());

/** Names of the fields that arrive with a call that has none but what it must have. */
const ALWAYS = [
  "accept-encoding",
  "cf-worker", // workerd's own: every subrequest of a Worker has it
  "connection", // Node's parser adds it to what it shows
  "content-length",
  "content-type",
  "host",
  "traceparent",
  "x-portcullis-client",
  "x-portcullis-issuer",
  "x-portcullis-scopes",
  "x-portcullis-subject",
];
const arrived = () => {
  const { rawHeaders } = scene.origin.only();
  const names = rawHeaders.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase());
  return [...new Set(names)].sort();
};

describe("the origin server gets", () => {
  test("the message, and who calls, in fields that it can rely on", async () => {
    const answer = await scene.post();
    assert.equal(answer.status, 200, answer.body);
    assert.deepEqual(answer.json(), { jsonrpc: "2.0", id: CALL.id, result: {} });

    const { method, url, headers, body } = scene.origin.only();
    assert.equal(method, "POST");
    assert.equal(url, "/mcp");
    assert.deepEqual(JSON.parse(body), CALL);
    assert.equal(headers["x-portcullis-subject"], "ada");
    assert.equal(headers["x-portcullis-issuer"], scene.idp.issuer);
    assert.equal(headers["x-portcullis-client"], "test-client");
    assert.equal(headers["x-portcullis-scopes"], "mcp:tools");
    assert.equal(headers.host, scene.origin.authority, "its own name, not the gateway's");
    assert.equal(headers["accept-encoding"], "identity", "so that events are not held back for a block");
    assert.ok(
      arrived().every((name) => ALWAYS.includes(name)),
      arrived().join(),
    );
    assert.deepEqual(scene.tokensInLog(), []);
  });

  const STOPPED = {
    "Proxy-Authorization": "Basic YTpi",
    Cookie: "session=1",
    Origin: PAGE,
    Referer: `${PAGE}/page`,
    Forwarded: "for=1.2.3.4;host=evil.example",
    "X-Forwarded-For": "1.2.3.4",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "http",
    "X-Real-IP": "1.2.3.4",
    "CF-Connecting-IP": "1.2.3.4",
    "True-Client-IP": "1.2.3.4",
    "X-Original-URL": "/admin",
    "X-Rewrite-URL": "/admin",
    "X-HTTP-Method-Override": "DELETE",
    "x-portcullis-subject": "root",
    "X-Portcullis-Issuer": "https://evil.example",
    "X-PORTCULLIS-CLIENT": "root",
    "X-Portcullis-Scopes": "everything",
    "X-Portcullis-Assertion": "eyJhbGciOiJub25lIn0.e30.",
    "X-Portcullis-Tool": "delete_all",
    X_Portcullis_Subject: "root",
    "X-Api-Key": "secret",
    Via: "1.1 evil",
    TE: "trailers",
    "If-None-Match": '"x"',
    Range: "bytes=0-1",
    "Sec-Fetch-Site": "same-origin",
    "MCP-Param-": "nameless",
    tracestate: "evil=1",
  };
  test("nothing else of what the caller sends: no credential, no cookie, no forged identity", async () => {
    const answer = await scene.post({ fields: STOPPED });
    assert.equal(answer.status, 200, answer.body);
    assert.deepEqual(
      arrived().filter((name) => !ALWAYS.includes(name)),
      [],
    );
    const { headers, rawHeaders } = scene.origin.only();
    assert.equal(headers["x-portcullis-subject"], "ada");
    assert.equal(headers["x-portcullis-issuer"], scene.idp.issuer);
    assert.equal(headers["x-portcullis-client"], "test-client");
    assert.equal(headers["x-portcullis-scopes"], "mcp:tools");
    const values = Object.values(STOPPED);
    assert.deepEqual(
      rawHeaders.filter((value) => values.includes(value)),
      [],
    );
    const [token] = scene.tokens.slice(-1);
    assert.ok(!rawHeaders.some((value) => value.includes(token)), "the caller's token stops at the gateway");
  });

  test("no name of a client where the token has none, whatever the caller says", async () => {
    const token = await scene.token({ claims: { client_id: undefined } });
    await scene.post({ token, fields: { "X-Portcullis-Client": "root" } });
    assert.equal(scene.origin.only().headers["x-portcullis-client"], undefined);
  });

  test("the fields of MCP and of content negotiation as they were sent", async () => {
    const passing = {
      Accept: "application/json, text/event-stream",
      "Accept-Language": "de, en;q=0.5",
      "Mcp-Method": "tools/call",
      "Mcp-Name": "=?base64?Z3LDvMOfZQ==?=",
      "Mcp-Session-Id": "0123456789abcdef",
      "User-Agent": "a-client/1.0 (test)",
      "Content-Type": "application/json; charset=utf-8",
      "Mcp-Param-Region": "eu-central-1",
      "mcp-param-X.y_z~1": "=?base64?8J+YgA==?=",
      ...MODERN,
    };
    await scene.post({ fields: passing });
    const { headers } = scene.origin.only();
    for (const [name, value] of Object.entries(passing)) {
      // Without a charset: the origin server reads the message as the gateway does.
      const expected = name === "Content-Type" ? "application/json" : value;
      assert.equal(headers[name.toLowerCase()], expected, name);
    }
  });

  test("the event to go on after in the old era, as the modern one resumes nothing (T27)", async () => {
    for (const [fields, value] of [
      [LEGACY, "stream-1_42"],
      [MODERN, undefined],
    ]) {
      scene.origin.reset();
      await scene.post({ fields: { ...fields, "Last-Event-ID": "stream-1_42" } });
      assert.equal(scene.origin.only().headers["last-event-id"], value);
    }
  });

  test("text that no field can hold percent-encoded", async () => {
    const claims = { sub: "Zoë 100%\r\nx-portcullis-scopes: root", client_id: "ключ", scope: "mcp:tools" };
    const answer = await scene.post({ token: await scene.token({ claims }) });
    assert.equal(answer.status, 200, answer.body);
    const { headers } = scene.origin.only();
    const subject = headers["x-portcullis-subject"];
    assert.equal(subject, "Zo%C3%AB%20100%25%0D%0Ax-portcullis-scopes:%20root");
    assert.equal(decodeURIComponent(subject), claims.sub);
    assert.equal(decodeURIComponent(headers["x-portcullis-client"]), claims.client_id);
    assert.equal(headers["x-portcullis-scopes"], "mcp:tools");
    const line = await lineOf(scene.gateway, answer);
    assert.match(line.subject, /^[0-9a-f]{16}$/);
    assert.ok(!JSON.stringify(line).includes("Zo"), "the log has a pseudonym");
  });

  for (const method of ["GET", "DELETE"]) {
    test(`${method} without a body, though one was sent`, async () => {
      assert.equal((await scene.post({ method, body: "{}", fields: LEGACY })).status, 200);
      const record = scene.origin.only();
      assert.equal(record.method, method);
      assert.equal(record.bytes.length, 0);
    });
  }
});

describe("the trace", () => {
  const TRACE = "0af7651916cd43dd8448eb211c80319c";
  const PARENT = "b7ad6b7169203331";
  const parse = () => scene.origin.only().headers.traceparent.split("-");

  test("of the caller is continued with a span of ours, and its tracestate goes along", async () => {
    const fields = { traceparent: `00-${TRACE}-${PARENT}-01`, tracestate: "vendor=1" };
    const answer = await scene.post({ fields });
    const [version, trace, span, flags] = parse();
    assert.deepEqual([version, trace, flags], ["00", TRACE, "01"]);
    assert.match(span, /^[0-9a-f]{16}$/);
    assert.notEqual(span, PARENT);
    assert.equal(scene.origin.only().headers.tracestate, "vendor=1");
    assert.equal((await lineOf(scene.gateway, answer)).trace_id, TRACE);
  });

  const BROKEN = [
    undefined,
    "",
    "garbage",
    `00-${"0".repeat(32)}-${PARENT}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `ff-${TRACE}-${PARENT}-01`,
    `00-${TRACE.toUpperCase()}-${PARENT}-01`,
    `00-${TRACE}-${PARENT}-01-more`,
  ];
  for (const traceparent of BROKEN) {
    test(`is begun anew where the caller sends ${traceparent ?? "none"}`, async () => {
      const fields = { tracestate: "vendor=1", ...(traceparent === undefined ? {} : { traceparent }) };
      const answer = await scene.post({ fields });
      const [version, trace, span] = parse();
      assert.equal(version, "00");
      assert.match(trace, /^(?!0+$)[0-9a-f]{32}$/);
      assert.notEqual(trace, TRACE);
      assert.match(span, /^(?!0+$)[0-9a-f]{16}$/);
      assert.equal(scene.origin.only().headers.tracestate, undefined);
      assert.equal((await lineOf(scene.gateway, answer)).trace_id, trace);
    });
  }
});

describe("the log says of a request that was forwarded", () => {
  test("what it asked for in the modern era, and who asked", async () => {
    const fields = { ...MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "add" };
    const line = await lineOf(scene.gateway, await scene.post({ fields }));
    const { time, request_id, trace_id, subject, duration_ms, authentication_ms, origin_ms, ...rest } = line;
    assert.deepEqual(rest, {
      v: 1,
      event: "request",
      method: "POST",
      resource: "/mcp",
      era: "modern",
      mcp_method: "tools/call",
      mcp_name: "add",
      issuer: "idp",
      credential: "jwt",
      token_cache: "miss",
      client: "test-client",
      decision: "allow",
      reason: "forwarded",
      status: 200,
    });
    for (const duration of [duration_ms, authentication_ms, origin_ms]) assert.ok(duration >= 0);
    assert.ok(time && request_id && trace_id && subject);
  });

  test("no more of a long text than fits a line", async () => {
    const long = "ä".repeat(1000);
    const token = await scene.token({ claims: { client_id: long } });
    const fields = { ...MODERN, "Mcp-Method": "x".repeat(1000), "Mcp-Name": "y".repeat(1000) };
    const line = await lineOf(scene.gateway, await scene.post({ token, fields }));
    assert.equal(line.client, long.slice(0, 256));
    assert.equal(line.mcp_method, "x".repeat(256));
    assert.equal(line.mcp_name, "y".repeat(256));
  });

  test("nothing of what fields of the old era claim (T18)", async () => {
    const fields = { ...LEGACY, "Mcp-Method": "tools/list", "Mcp-Name": "add" };
    const line = await lineOf(scene.gateway, await scene.post({ fields }));
    assert.equal(line.era, "legacy");
    assert.equal(line.mcp_method, undefined);
    assert.equal(line.mcp_name, undefined);
  });
});

describe("of the origin server's answer", () => {
  const STOPPED = {
    "set-cookie": ["a=b", "c=d"],
    server: "origin/1.0",
    "x-powered-by": "PHP/5",
    "www-authenticate": 'Bearer realm="origin"',
    "access-control-allow-origin": "*",
    "access-control-allow-credentials": "true",
    "access-control-expose-headers": "*",
    "alt-svc": 'h3=":443"',
    "strict-transport-security": "max-age=1",
    "content-security-policy": "default-src *",
    via: "1.1 inside",
    "x-internal-host": "db7.internal",
    "x-portcullis-subject": "ada",
    refresh: "0;url=https://evil.example",
    link: "<https://evil.example>; rel=preload",
    "x-request-id": "theirs",
    "server-timing": "db;dur=5",
    etag: '"1"',
  };
  const PASSING = {
    "content-type": "application/json; charset=utf-8",
    "cache-control": "private, max-age=5",
    "content-language": "de",
    "last-event-id": "7",
    "last-modified": "Mon, 01 Jun 2026 00:00:00 GMT",
    "mcp-protocol-version": "2025-11-25",
    "mcp-session-id": "0123456789abcdef",
  };

  test("some fields travel, and no others: no cookie, no banner, no challenge, no CORS", async () => {
    scene.origin.answer = (_request, response) => {
      response.writeHead(200, { ...STOPPED, ...PASSING }).end("{}");
    };
    const answer = await scene.post();
    for (const [name, value] of Object.entries(PASSING)) assert.equal(answer.fields[name], value, name);
    const ours = ["x-request-id", "server-timing", "vary", "x-content-type-options"];
    const framing = ["content-length", "transfer-encoding", "connection"];
    const known = [...Object.keys(PASSING), ...ours, ...framing];
    assert.deepEqual(
      Object.keys(answer.fields).filter((name) => !known.includes(name)),
      [],
    );
    assert.match(answer.fields["x-request-id"], /^[0-9a-f]{32}$/);
    assert.ok(!answer.fields["server-timing"].includes("db"));
    assert.equal(answer.fields["x-content-type-options"], "nosniff");
  });

  const STATUSES = [200, 202, 204, 400, 403, 404, 405, 406, 409, 415, 422, 429];
  for (const status of STATUSES) {
    test(`status ${status} and its body travel as they are`, async () => {
      const error = { jsonrpc: "2.0", id: CALL.id, error: { code: -32601, message: "no such method" } };
      const body = status < 300 ? "" : JSON.stringify(error);
      scene.origin.answer = (_request, response) => {
        response.writeHead(status, { "content-type": "application/json", allow: "POST", "retry-after": "3" });
        response.end(body);
      };
      const answer = await scene.post({ fields: MODERN });
      assert.equal(answer.status, status);
      assert.equal(answer.body, body);
      assert.equal(answer.fields.allow, "POST");
      assert.equal(answer.fields["retry-after"], "3");
      assert.equal(answer.fields["www-authenticate"], undefined);
      const line = await lineOf(scene.gateway, answer);
      assert.deepEqual([line.decision, line.reason, line.status], ["allow", "forwarded", status]);
    });
  }
});

test("no part of a token is in the log, nor what bodies and fields held", async () => {
  scene.origin.reset(answerOk);
  const body = JSON.stringify({ ...CALL, params: { secret: "body-secret-0123456789" } });
  await scene.post({ body, fields: { "X-Api-Key": "field-secret-0123456789" } });
  await send(scene.gateway, { target: "/mcp?q=query-secret-0123456789" });
  assert.deepEqual(scene.tokensInLog(), []);
  const lines = scene.gateway.logs.join("\n");
  for (const secret of ["body-secret", "field-secret", "query-secret"])
    assert.ok(!lines.includes(secret), secret);
});
