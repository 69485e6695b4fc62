/**
 * `keep_alive_seconds`: a silent event stream gets comments, between its events and nowhere else, and everything else about it
 * stays as it is.
 */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually, headOf } from "./support/http.mjs";
import { legacy, modern } from "./support/policy.mjs";
import { startScene } from "./support/scene.mjs";

const PATIENCE = { timeout: 30_000 };
const COMMENT = /: keep-alive\n\n/g;

for (const [kind, resource] of [
  ["without rules", {}],
  ["with rules", { rules: [{ effect: "allow", tools: ["*"], methods: ["*"] }] }],
]) {
  describe(`an event stream ${kind}`, { concurrency: false }, () => {
    let scene;
    let response;
    before(
      async () => {
        scene = await startScene({ resource: { keep_alive_seconds: 1, ...resource } });
        await scene.post();
      },
      { timeout: 60_000 },
    );
    after(() => scene?.close());
    beforeEach(() =>
      scene.origin.reset((_request, answer) => {
        response = answer;
        answer.on("error", () => {});
        answer.writeHead(200, { "content-type": "text/event-stream" });
        answer.flushHeaders();
      }),
    );

    /** Opens a stream, and collects what the client receives. */
    async function open(era) {
      const { fields, body } = era("tools/call", { name: "add", arguments: {} });
      const socket = connect(scene.gateway.directPort, "127.0.0.1");
      const stream = { socket, received: "" };
      socket.on("error", () => {});
      socket.setEncoding("utf8").on("data", (text) => {
        // Without the sizes of chunks (RFC 9112 §7.1).
        stream.received = (stream.received + text).replace(/\r\n[0-9a-f]+\r\n/gi, "");
      });
      socket.write(
        headOf(scene.gateway, { method: "POST", fields: await scene.fields(fields), body }) + body,
      );
      await scene.origin.arrived();
      return stream;
    }

    const event = (number) =>
      `data: ${JSON.stringify({ jsonrpc: "2.0", method: "notifications/progress", params: { number } })}\n\n`;

    for (const [name, era] of Object.entries({ modern, legacy })) {
      test(`gets comments while it is silent, and its events unchanged (${name})`, PATIENCE, async () => {
        const stream = await open(era);
        response.write(event(1));
        await eventually("two comments", () => (stream.received.match(COMMENT) ?? []).length >= 2, 5_000);
        response.end(event(2));
        await eventually("the end", () => stream.received.includes(event(2).trim()));
        assert.ok(stream.received.includes(event(1).trim()));
        stream.socket.destroy();
      });
    }

    test("gets none inside an event", PATIENCE, async () => {
      const stream = await open(modern);
      const whole = event(3);
      response.write(event(1) + whole.slice(0, 20));
      await sleep(2_500);
      const before = (stream.received.match(COMMENT) ?? []).length;
      assert.equal(before, 0);
      response.write(whole.slice(20, -1));
      await sleep(1_500);
      response.write(whole.slice(-1));
      await eventually("the event", () => stream.received.includes(whole.trim()));
      await eventually("a comment after it", () => COMMENT.test(stream.received), 5_000);
      stream.socket.destroy();
    });

    test("ends with a modern client that disconnects", PATIENCE, async () => {
      const stream = await open(modern);
      response.write(event(1));
      await sleep(300);
      stream.socket.resetAndDestroy();
      await eventually("the cancellation", () => scene.origin.only().cancelled, 5_000);
    });
  });
}

test("a body that is no event stream gets none", PATIENCE, async () => {
  const scene = await startScene({ resource: { keep_alive_seconds: 1 } });
  try {
    scene.origin.reset((_request, response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.write('{"a":');
      setTimeout(() => response.end("1}"), 2_500);
    });
    const answer = await scene.post();
    assert.deepEqual([answer.status, answer.body], [200, '{"a":1}']);
  } finally {
    await scene.close();
  }
});
