/**
 * Origin servers that fail: the caller learns that they did and nothing of how; the log says which failure it was. The answer has
 * the id of a message that the gateway has read: not that of one with a Content-Length, which passes as a stream.
 */
import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import { text } from "node:stream/consumers";
import { after, before, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chunked, eventually, headOf, send } from "./support/http.mjs";
import { startWitness } from "./support/origin.mjs";
import { freePort } from "./support/processes.mjs";
import { assertRefused, lineOf } from "./support/refusal.mjs";
import { CALL, LEGACY, MODERN, startScene } from "./support/scene.mjs";

const SECRETS = ["db7.internal", "at Object.query", "Bearer realm", "secret-cookie", "evil.example"];

let scene;
/** A port where nobody listens, one where somebody hangs up, and one where somebody talks nonsense. */
let silentPort;
let rude;
let nonsense;
const listen = (onConnection) =>
  new Promise((resolve) => {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      onConnection(socket);
    });
    server.listen(0, "127.0.0.1", () => resolve(server));
  });

before(
  async () => {
    silentPort = await freePort();
    rude = await listen((socket) => socket.once("data", () => socket.destroy()));
    nonsense = await listen((socket) => socket.once("data", () => socket.end("SSH-2.0-OpenSSH_9.6\r\n\r\n")));
    const at = (path, port) => ({
      path,
      origin: `http://127.0.0.1:${port}/mcp`,
      issuers: ["idp"],
      scopes: ["mcp:tools"],
    });
    scene = await startScene({
      changes: ({ origin }) => ({
        resources: [
          { ...at("/mcp", origin.port), response_timeout_seconds: 1, idle_timeout_seconds: 1 },
          at("/down", silentPort),
          at("/rude", rude.address().port),
          at("/nonsense", nonsense.address().port),
        ],
      }),
    });
  },
  { timeout: 60_000 },
);
after(() => {
  rude?.close();
  nonsense?.close();
  return scene?.close();
});
beforeEach(() => scene.origin.reset());

const HINT = "or the client did not send all of its message";

async function assertFailed(answer, { status = 502, reason, detail, id = null }) {
  const line = await assertRefused(scene.gateway, answer, { status, reason, id });
  assert.equal(line.detail, detail);
  assert.equal(line.client, "test-client", "the log says whose request it was");
  assert.ok(line.origin_ms >= 0);
  for (const secret of SECRETS) {
    assert.ok(!JSON.stringify(answer.fields).includes(secret), secret);
    assert.ok(!answer.body.includes(secret), secret);
  }
  assert.deepEqual(scene.tokensInLog(), []);
}

describe("an origin server that does not answer", () => {
  const DEAD = {
    "is not there": "/down",
    "hangs up when it is asked": "/rude",
    "does not speak HTTP": "/nonsense",
  };
  for (const [what, target] of Object.entries(DEAD)) {
    const post = async (options) => {
      const token = await scene.token({ audience: `${scene.gateway.url}${target}` });
      return scene.post({ target, token, ...options });
    };
    for (const [era, fields] of Object.entries({ modern: MODERN, legacy: LEGACY })) {
      test(`because it ${what} is 502 for a request of the ${era} era`, async () => {
        await assertFailed(await post({ fields }), { reason: "origin_unreachable", detail: HINT });
      });
    }

    test(`because it ${what} is 502 with the id of a small request that came in chunks`, async () => {
      const body = chunked([JSON.stringify(CALL)]);
      const answer = await post({ fields: { "Transfer-Encoding": "chunked" }, body });
      await assertFailed(answer, { reason: "origin_unreachable", id: CALL.id });
    });

    test(`because it ${what} is 502 without an id where there is none to be known`, async () => {
      const unknown = { reason: "origin_unreachable", id: null };
      const inChunks = (text) => post({ fields: { "Transfer-Encoding": "chunked" }, body: chunked([text]) });
      await assertFailed(await post({ method: "GET", body: undefined }), unknown);
      await assertFailed(await inChunks(JSON.stringify({ ...CALL, id: undefined })), unknown);
      await assertFailed(await inChunks("[[["), unknown);
      await assertFailed(await inChunks(`{"a":${"[".repeat(10_000)}`), unknown);
      await assertFailed(await inChunks(JSON.stringify({ ...CALL, pad: "x".repeat(70_000) })), unknown);
    });
  }

  test("in time is 504, and is no longer asked", async () => {
    scene.origin.answer = () => {};
    for (const fields of [MODERN, LEGACY]) {
      scene.origin.requests.length = 0;
      const begun = Date.now();
      const answer = await scene.post({ fields });
      const spent = Date.now() - begun;
      assert.ok(spent >= 900 && spent < 4_000, `${spent} ms`);
      await assertFailed(answer, { status: 504, reason: "origin_timeout", detail: HINT });
      await eventually("the end of the request", () => scene.origin.only().cancelled);
    }
  });

  test("because a caller is slow to send may not be at fault, and the log says so", async () => {
    const body = JSON.stringify(CALL);
    const socket = connect(scene.gateway.directPort, "127.0.0.1");
    socket.on("error", () => {});
    const seen = scene.gateway.events().length;
    socket.write(headOf(scene.gateway, { method: "POST", fields: await scene.fields(), body }));
    socket.write(body.slice(0, 10));
    await scene.origin.arrived();
    const line = () => scene.gateway.events().slice(seen)[0];
    await eventually("the line of the request", line);
    assert.deepEqual([line().reason, line().detail], ["origin_timeout", HINT]);
    socket.destroy();
    await eventually("the end of the request", () => scene.origin.only().cancelled);
    assert.equal(scene.origin.only().complete, false);
  });

  test("because it was not yet asked, by a caller who sends chunks slowly, is not at fault", async () => {
    const body = JSON.stringify(CALL);
    const socket = connect(scene.gateway.directPort, "127.0.0.1");
    socket.on("error", () => {});
    const received = text(socket);
    const seen = scene.gateway.events().length;
    const fields = { ...(await scene.fields()), "Transfer-Encoding": "chunked" };
    socket.write(headOf(scene.gateway, { method: "POST", fields }));
    socket.write(chunked([body.slice(0, 10)], { end: false }));
    await sleep(1_500);
    assert.deepEqual(scene.origin.requests, []);
    socket.write(chunked([body.slice(10)]));
    assert.doesNotMatch(await received, /^HTTP\/1\.1 5/);
    const line = () => scene.gateway.events().slice(seen)[0];
    await eventually("the line of the request", line);
    assert.doesNotMatch(line().reason, /^origin_/);
  });

  test("before it has read the whole body is 504 too", async () => {
    scene.origin.early = true;
    scene.origin.answer = (request) => request.pause();
    const answer = await scene.post({ body: "x".repeat(3_000_000) });
    await assertFailed(answer, { status: 504, reason: "origin_timeout", detail: HINT });
  });
});

describe("an origin server that answers with", () => {
  const respond =
    (status, fields = {}, body = "") =>
    (_request, response) =>
      response.writeHead(status, { "set-cookie": "secret-cookie=1", ...fields }).end(body);

  for (const status of [300, 301, 302, 303, 304, 307, 308]) {
    test(`a redirect (${status}) is not followed: 502`, async () => {
      const elsewhere = await startWitness();
      try {
        scene.origin.answer = respond(status, { location: `${elsewhere.url}?code=secret#x` });
        const answer = await scene.post();
        const detail = `status ${status}, to ${elsewhere.url}`;
        await assertFailed(answer, { reason: "origin_redirected", detail });
        assert.equal(answer.fields.location, undefined);
        assert.deepEqual(elsewhere.requests, [], "nobody else gets the request");
      } finally {
        await elsewhere.close();
      }
    });
  }

  for (const status of [401, 407]) {
    test(`a demand for credentials (${status}) is 502: it is the gateway that they are asked of`, async () => {
      const demand = { "www-authenticate": "Bearer realm=x", "proxy-authenticate": "Basic" };
      scene.origin.answer = respond(status, demand, "Bearer realm");
      await assertFailed(await scene.post(), { reason: "origin_unauthorized" });
    });
  }

  for (const status of [500, 501, 502, 503, 504, 599]) {
    test(`an error of its own (${status}) is 502, without its internals`, async () => {
      const trace = "Error: connect ECONNREFUSED db7.internal:5432\n    at Object.query (/srv/db.js:42:11)";
      scene.origin.answer = respond(status, { "content-type": "text/plain", "retry-after": "1" }, trace);
      await assertFailed(await scene.post(), { reason: "origin_failed", detail: `status ${status}` });
    });
  }
});

/** The line about a stream that broke: it names the request. */
const streamLine = (answer) => {
  const detail = `request ${answer.fields["x-request-id"]}`;
  return eventually("the line of the stream", () =>
    scene.gateway.events().find((event) => event.event === "gateway" && event.detail === detail),
  );
};

describe("a stream", () => {
  const open = (next) => (request, response, record) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write("data: 1\n\n");
    next(response, record, request);
  };

  for (const [era, fields] of Object.entries({ modern: MODERN, legacy: LEGACY })) {
    test(`that the origin server drops is broken for a caller of the ${era} era, and in the log`, async () => {
      scene.origin.answer = open((response) => setTimeout(() => response.destroy(), 100));
      const answer = await scene.post({ fields });
      assert.equal(answer.status, 200);
      assert.equal(answer.body, "data: 1\n\n");
      assert.equal(answer.complete, false, "no end is made up where there was none");
      assert.equal((await lineOf(scene.gateway, answer)).reason, "forwarded");
      const line = await streamLine(answer);
      assert.deepEqual([line.level, line.reason], ["warn", "origin_stream_lost"]);
    });

    test(`that is silent for too long is cut for a caller of the ${era} era, and in the log`, async () => {
      scene.origin.answer = open(() => {});
      const begun = Date.now();
      const answer = await scene.post({ fields });
      const spent = Date.now() - begun;
      assert.ok(spent >= 900 && spent < 4_000, `${spent} ms`);
      assert.equal(answer.body, "data: 1\n\n");
      assert.equal(answer.complete, false);
      const line = await streamLine(answer);
      assert.deepEqual([line.level, line.reason], ["warn", "origin_stream_idle"]);
      await eventually("the end of the request", () => scene.origin.only().cancelled);
    });
  }

  test("that is kept alive by comments is not cut", async () => {
    scene.origin.answer = open(async (response) => {
      for (let beat = 0; beat < 4; beat += 1) {
        await sleep(600);
        response.write(":\n\n");
      }
      response.end("data: 2\n\n");
    });
    const answer = await scene.post({ fields: MODERN });
    assert.ok(answer.complete);
    assert.equal(answer.body, `data: 1\n\n${":\n\n".repeat(4)}data: 2\n\n`);
  });

  test("of known length, were it long, that ends before it is broken", async () => {
    scene.origin.answer = (_request, response) => {
      response.writeHead(200, { "content-type": "application/json", "content-length": 100_000 });
      response.write('{"jsonrpc":"2.0",');
      setTimeout(() => response.destroy(), 100);
    };
    const answer = await scene.post();
    assert.equal(answer.status, 200);
    assert.equal(answer.complete, false);
    assert.equal((await streamLine(answer)).reason, "origin_stream_lost");
  });

  test("that is short and says so, and ends before, is broken", async () => {
    scene.origin.answer = (_request, response) => {
      response.writeHead(200, { "content-type": "application/json", "content-length": 1000 });
      response.write('{"jsonrpc":"2.0",');
      setTimeout(() => response.destroy(), 100);
    };
    const answer = await scene.post();
    assert.deepEqual([answer.status, answer.complete], [200, false]);
    assert.equal((await streamLine(answer)).reason, "origin_stream_lost");
  });

  test("that is short and says so, and never ends, is given up", async () => {
    scene.origin.answer = (_request, response) => {
      response.writeHead(200, { "content-type": "application/json", "content-length": 1000 });
      response.write('{"jsonrpc":"2.0",');
    };
    const answer = await scene.post();
    assert.deepEqual([answer.status, answer.complete], [200, false]);
    assert.equal((await streamLine(answer)).reason, "origin_stream_idle");
  });

  test("that ends well leaves no second line", async () => {
    scene.origin.answer = open((response) => response.end());
    const answer = await scene.post();
    assert.ok(answer.complete);
    const id = answer.fields["x-request-id"];
    await sleep(200);
    assert.equal(scene.gateway.logs.filter((line) => line.includes(id)).length, 1);
  });
});

test("after all this the gateway works as before", async () => {
  assert.equal((await scene.post()).status, 200);
  assert.equal((await send(scene.gateway, { target: "/healthz" })).status, 200);
});
