/**
 * What a caller's disconnect means: in the modern era it cancels the request at the origin server (T25), in the old
 * one it does not (L7).
 *
 * A caller that only closes its end (FIN) cannot be told from one that has said all it has to say until something is
 * written to it, so before the answer's head these tests break the connection (RST), as HTTP/2 would its stream.
 */
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { connect } from "node:net";
import { after, before, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startOrigin } from "../../examples/origin/server.mjs";
import { Exchange } from "../../src/worker/exchange.js";
import { chunked, eventually, headOf } from "./support/http.mjs";
import { modern } from "./support/policy.mjs";
import { LEGACY, MODERN, startScene } from "./support/scene.mjs";

const SOON = 2_000;
/** Long enough for a cancellation to have arrived, if there were one. */
const A_WHILE = 1_500;
const PATIENCE = { timeout: 30_000 };
const BREAK = { "breaks the connection": (socket) => socket.resetAndDestroy() };
const LEAVE = { ...BREAK, "closes the connection": (socket) => socket.destroy() };

let scene;
before(
  async () => {
    scene = await startScene();
    await scene.post(); // keys are fetched
  },
  { timeout: 60_000 },
);
after(() => scene?.close());
beforeEach(() => scene.origin.reset());

/** Sends a call and stays on the line: the socket, and what has come back so far. */
async function call({ fields, method = "POST", body = "{}" }) {
  const socket = connect(scene.gateway.directPort, "127.0.0.1");
  const open = { socket, received: "" };
  socket.on("error", () => {});
  socket.setEncoding("utf8").on("data", (text) => {
    open.received += text;
  });
  socket.write(headOf(scene.gateway, { method, fields: await scene.fields(fields), body }));
  socket.write(body);
  await scene.origin.arrived();
  return open;
}

const cancelled = () =>
  eventually("the cancellation at the origin server", () => scene.origin.only().cancelled, SOON);

/** An answer that has begun: its event is with the caller. */
async function streaming(options) {
  let response;
  scene.origin.answer = (_request, answer) => {
    response = answer;
    answer.writeHead(200, { "content-type": "text/event-stream" });
    answer.write("data: 1\n\n");
  };
  const open = await call(options);
  await eventually("the first event", () => open.received.includes("data: 1"));
  return Object.assign(open, { response });
}

describe("before the answer has begun", () => {
  test("a modern caller that breaks the connection cancels its request", PATIENCE, async () => {
    scene.origin.answer = () => {};
    const { socket } = await call({ fields: MODERN });
    socket.resetAndDestroy();
    await cancelled();
  });

  test(
    "a caller who is gone is in the log, and is not taken for a failure of the origin server",
    PATIENCE,
    async () => {
      scene.origin.answer = () => {};
      const seen = scene.gateway.events().length;
      const { socket } = await call({ fields: MODERN });
      socket.resetAndDestroy();
      const lines = () => scene.gateway.events().slice(seen);
      await eventually("the line of the request", () => lines().length > 0, SOON);
      await sleep(100);
      const [{ event, reason }, ...more] = lines();
      assert.deepEqual(more, []);
      assert.equal(event, "request");
      assert.doesNotMatch(reason, /^origin_/);
    },
  );

  for (const [era, fields] of Object.entries({ modern: MODERN, legacy: LEGACY })) {
    test(
      `a ${era} caller that breaks it while it still sends leaves no half of a request`,
      PATIENCE,
      async () => {
        scene.origin.early = true;
        scene.origin.answer = () => {};
        const bytes = 200_000;
        const body = chunked(["x".repeat(bytes)], { end: false });
        const { socket } = await call({ fields: { ...fields, "Transfer-Encoding": "chunked" }, body });
        await eventually("what was sent", () => scene.origin.only().bytes.length >= bytes / 2);
        socket.resetAndDestroy();
        await cancelled();
        assert.equal(scene.origin.only().complete, false);
      },
    );
  }

  for (const [what, leave] of Object.entries(LEAVE)) {
    test(`a legacy caller that ${what} has its POST answered all the same`, PATIENCE, async () => {
      let response;
      scene.origin.answer = (_request, answer) => {
        response = answer;
      };
      const { socket } = await call({ fields: LEGACY });
      leave(socket);
      await sleep(A_WHILE);
      const record = scene.origin.only();
      assert.equal(record.complete, true);
      assert.equal(record.cancelled, false);
      response.writeHead(200, { "content-type": "application/json" }).end('{"jsonrpc":"2.0"}');
      await eventually("the end of the answer", () => response.writableFinished);
      await sleep(100);
      assert.equal(record.cancelled, false);
    });
  }
});

describe("who listens for a caller's leaving", () => {
  const listening = () => {
    const { signal } = new AbortController();
    const seenThrough = [];
    const exchange = new Exchange({ signal }, { waitUntil: (work) => seenThrough.push(work) }, 0);
    return { exchange, signal, seenThrough, listeners: () => getEventListeners(signal, "abort").length };
  };

  for (const [end, settle] of [
    ["is there", (work) => work.resolve()],
    ["has failed", (work) => work.reject(new Error("it has"))],
  ]) {
    // What is left listening holds the request and its answer, for longer than a collection of garbage.
    test(`stops once the answer ${end}`, async () => {
      const { exchange, seenThrough, listeners } = listening();
      const work = Promise.withResolvers();
      exchange.hold(work.promise);
      assert.equal(listeners(), 1);
      settle(work);
      await work.promise.catch(() => {});
      await sleep(0);
      assert.deepEqual([listeners(), seenThrough.length], [0, 0]);
    });
  }

  test("has nothing to do where the answer is there at once", () => {
    const { exchange, listeners } = listening();
    exchange.hold({ status: 502 });
    assert.equal(listeners(), 0);
  });
});

describe("while the answer streams", () => {
  for (const [what, leave] of Object.entries(LEAVE)) {
    test(`a modern caller that ${what} cancels its request at the next event`, PATIENCE, async () => {
      const { socket, response } = await streaming({ fields: MODERN });
      leave(socket);
      const ticking = setInterval(() => response.write("data: 2\n\n"), 200);
      try {
        await cancelled();
      } finally {
        clearInterval(ticking);
      }
    });

    test(`a legacy caller that ${what} leaves its POST running to the end`, PATIENCE, async () => {
      const { socket, response } = await streaming({ fields: LEGACY });
      leave(socket);
      for (let event = 0; event < 8; event += 1) {
        await sleep(A_WHILE / 8);
        response.write(`data: ${"x".repeat(100_000)}\n\n`);
        assert.equal(scene.origin.only().cancelled, false);
      }
      response.end("data: done\n\n");
      await eventually("the end of the answer", () => response.writableFinished);
      await sleep(100);
      assert.equal(scene.origin.only().cancelled, false);
    });

    test(`a legacy caller that ${what} ends its GET, which only listens`, PATIENCE, async () => {
      const { socket, response } = await streaming({ fields: LEGACY, method: "GET" });
      leave(socket);
      const ticking = setInterval(() => response.write("data: 2\n\n"), 200);
      try {
        await cancelled();
      } finally {
        clearInterval(ticking);
      }
    });
  }

  test("a modern caller that breaks the connection cancels even a silent stream", PATIENCE, async () => {
    const { socket } = await streaming({ fields: MODERN });
    socket.resetAndDestroy();
    await cancelled();
  });

  const LIST = (size) => `{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"x","d":"${"y".repeat(size)}`;
  for (const driver of ["shell", "core"]) {
    for (const [what, type, text, length] of [
      ["a list is held back", "application/json", LIST(100)],
      ["a list of a known length is held back", "application/json", LIST(100), { "content-length": 5_000 }],
      ["a list has begun", "application/json", LIST(100_000)],
      ["a filtered event stream is silent", "text/event-stream", "data: 1\n\n"],
    ]) {
      test(
        `a modern caller that leaves while ${what} cancels its request (driver: ${driver})`,
        PATIENCE,
        async () => {
          const rules = await startScene({
            resource: { rules: [{ effect: "allow", tools: ["*"] }] },
            vars: { PORTCULLIS_DRIVER: driver },
          });
          try {
            await rules.post();
            rules.origin.reset((_request, response) => {
              response.on("error", () => {});
              response.writeHead(200, { "content-type": type, ...length });
              response.write(text);
            });
            const { fields, body } = modern("tools/list");
            const socket = connect(rules.gateway.directPort, "127.0.0.1");
            socket.on("error", () => {}).resume();
            socket.write(
              headOf(rules.gateway, { method: "POST", fields: await rules.fields(fields), body }) + body,
            );
            await rules.origin.arrived();
            await sleep(500);
            assert.equal(rules.origin.only().cancelled, false);
            socket.resetAndDestroy();
            await eventually(
              "the cancellation at the origin server",
              () => rules.origin.only().cancelled,
              SOON,
            );
          } finally {
            await rules.close();
          }
        },
      );
    }
  }

  test("a caller that stays gets everything", PATIENCE, async () => {
    const open = await streaming({ fields: MODERN });
    open.response.end("data: 2\n\n");
    await eventually("the end", () => open.socket.destroyed);
    assert.match(open.received, /data: 2/);
    assert.equal(scene.origin.only().cancelled, false);
  });
});

describe("a tool of the example's origin server", () => {
  let example;
  let tool;
  before(async () => {
    example = await startOrigin();
    tool = await startScene({ origin: example.url });
  });
  after(() => Promise.allSettled([tool?.close(), example?.close()]));
  beforeEach(() => {
    example.countdowns.length = 0;
  });

  const countdown = (n, ms, meta) => ({
    jsonrpc: "2.0",
    id: 1,
    method: "tools/call",
    params: { name: "countdown", arguments: { n, ms }, _meta: { progressToken: "p", ...meta } },
  });
  const accept = { Accept: "application/json, text/event-stream" };
  const post = async (message, fields, signal) =>
    fetch(tool.resourceUrl, {
      method: "POST",
      headers: await tool.fields({ ...accept, ...fields }),
      body: JSON.stringify(message),
      signal,
    });

  test("is stopped by a modern client that gives up in the middle", PATIENCE, async () => {
    const message = countdown(100, 100, {
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientCapabilities": {},
      "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
    });
    const fields = { ...MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "countdown" };
    const controller = new AbortController();
    const answer = await post(message, fields, controller.signal);
    assert.equal(answer.status, 200);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    const { value } = await reader.read();
    assert.match(value, /progress/);
    reader.closed.catch(() => {});
    controller.abort();
    await eventually("the tool to stop", () => example.countdowns[0].outcome !== "running", SOON);
    assert.equal(example.countdowns[0].outcome, "aborted");
  });

  test("goes on for a legacy client that gives up in the middle", PATIENCE, async () => {
    const hello = await post(
      {
        jsonrpc: "2.0",
        id: 0,
        method: "initialize",
        params: {
          protocolVersion: "2025-11-25",
          capabilities: {},
          clientInfo: { name: "test", version: "1" },
        },
      },
      {},
    );
    await hello.text();
    const fields = { ...LEGACY, "Mcp-Session-Id": hello.headers.get("mcp-session-id") };
    await post({ jsonrpc: "2.0", method: "notifications/initialized" }, fields);
    const controller = new AbortController();
    const answer = await post(countdown(20, 100), fields, controller.signal);
    assert.equal(answer.status, 200);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    await reader.read();
    reader.closed.catch(() => {});
    controller.abort();
    await eventually("the end of the tool", () => example.countdowns[0].outcome !== "running", 8_000);
    assert.equal(example.countdowns[0].outcome, "finished");
  });
});
