/** Bodies, both ways: whole, untouched, and as they come. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { request as httpRequest } from "node:http";
import { buffer } from "node:stream/consumers";
import { after, before, beforeEach, describe, test } from "node:test";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { chunked, eventually } from "./support/http.mjs";
import { within } from "./support/processes.mjs";
import { LEGACY, MODERN, startScene } from "./support/scene.mjs";

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

let scene;
before(
  async () => {
    scene = await startScene();
  },
  { timeout: 60_000 },
);
after(() => scene?.close());
beforeEach(() => scene.origin.reset());

describe("a body", () => {
  const LARGE = randomBytes(3 * 1024 * 1024);

  test("of 3 MB arrives as it was sent", async () => {
    assert.equal((await scene.post({ body: LARGE })).status, 200);
    const { bytes, headers } = scene.origin.only();
    assert.equal(sha256(bytes), sha256(LARGE));
    assert.equal(headers["content-length"], String(LARGE.length));
  });

  test("of 3 MB in chunks, of which nobody knew the size, arrives as it was sent", async () => {
    const pieces = Array.from({ length: 48 }, (_, index) => LARGE.subarray(index << 16, (index + 1) << 16));
    const fields = { "Transfer-Encoding": "chunked" };
    assert.equal((await scene.post({ fields, body: chunked(pieces) })).status, 200);
    assert.equal(sha256(scene.origin.only().bytes), sha256(LARGE));
  });

  for (const bytes of [0, 1, 65_535, 65_536, 65_537, 1_000_000]) {
    test(`of ${bytes} bytes arrives as it was sent`, async () => {
      const body = LARGE.subarray(0, bytes);
      assert.equal((await scene.post({ body })).status, 200);
      assert.equal(sha256(scene.origin.only().bytes), sha256(body));
    });
  }

  test("streams on while it is being sent", async () => {
    scene.origin.early = true;
    scene.origin.answer = (_request, response, record) =>
      eventually("the whole body", () => record.complete, 20_000).then(() => response.end("{}"));
    const { port } = scene.gateway;
    const headers = await scene.fields({ "Transfer-Encoding": "chunked" });
    const outgoing = httpRequest({ host: "127.0.0.1", port, path: "/mcp", method: "POST", headers });
    const answered = new Promise((resolve, reject) => outgoing.on("response", resolve).on("error", reject));
    outgoing.write(LARGE.subarray(0, 100_000));
    await scene.origin.arrived();
    const record = scene.origin.only();
    await eventually("the first part", () => record.bytes.length >= 90_000);
    assert.equal(record.complete, false, "the second part was not yet sent");
    outgoing.end(LARGE.subarray(100_000, 200_000));
    const answer = await within(20_000, "the answer", answered);
    assert.equal(answer.statusCode, 200);
    await buffer(answer);
    assert.equal(sha256(record.bytes), sha256(LARGE.subarray(0, 200_000)));
  });

  test("that the origin server does not want to the end does not keep its answer back", async () => {
    const error = '{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"too much"}}';
    scene.origin.early = true;
    scene.origin.answer = (request, response) => {
      request.pause();
      response.writeHead(413, { "content-type": "application/json" }).end(error);
    };
    const answer = await scene.post({ body: LARGE });
    assert.equal(answer.status, 413);
    assert.equal(answer.body, error);
  });

  test("of 3 MB comes back as it was sent, with its length and without", async () => {
    for (const length of [{ "content-length": LARGE.length }, {}]) {
      scene.origin.reset((_request, response) => {
        response.writeHead(200, { "content-type": "application/octet-stream", ...length });
        response.end(LARGE);
      });
      const answer = await scene.post();
      assert.ok(answer.complete);
      assert.equal(sha256(answer.bytes), sha256(LARGE));
    }
  });

  test("that the origin server compressed, though it was asked not to, is the same to the caller", async () => {
    const text = JSON.stringify({ jsonrpc: "2.0", id: 7, result: { text: "x".repeat(10_000) } });
    scene.origin.answer = (_request, response) => {
      response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" });
      response.end(gzipSync(text));
    };
    const answer = await fetch(`${scene.gateway.url}/mcp`, {
      method: "POST",
      headers: await scene.fields(),
      body: "{}",
    });
    assert.equal(await answer.text(), text);
  });

  // What the platform decodes is its own choice (RFC 9110 §8.4): this says which codings that are.
  for (const [coding, coded, decoded] of [
    ["gzip", gzipSync, true],
    ["br", brotliCompressSync, true],
    ["deflate", deflateSync, false],
    ["zstd", (text) => Buffer.from(`no ${text}`), false],
    ["GZIP", gzipSync, false],
    ["gzip, br", (text) => brotliCompressSync(gzipSync(text)), false],
    ["identity", (text) => Buffer.from(text), false],
  ]) {
    test(`in the coding ${coding} is ${decoded ? "decoded" : "passed on with its coding"}`, async () => {
      const text = JSON.stringify({ jsonrpc: "2.0", id: 7, result: { text: "x".repeat(1_000) } });
      for (const length of [true, false]) {
        const body = coded(text);
        scene.origin.answer = (_request, response) => {
          const fields = { "content-type": "application/json", "content-encoding": coding };
          response.writeHead(200, length ? { ...fields, "content-length": body.length } : fields).end(body);
        };
        const answer = await scene.post();
        assert.equal(answer.fields["content-encoding"], decoded ? undefined : coding);
        assert.deepEqual(answer.bytes, decoded ? Buffer.from(text) : body);
      }
    });
  }
});

describe("an answer in events", () => {
  for (const [era, fields] of Object.entries({ modern: MODERN, legacy: LEGACY })) {
    for (const method of era === "legacy" ? ["POST", "GET"] : ["POST"]) {
      test(`to ${method} of the ${era} era arrives event by event, as they are sent`, async () => {
        let stream;
        scene.origin.answer = (_request, response) => {
          stream = response;
          response.writeHead(200, { "content-type": "text/event-stream", "x-accel-buffering": "no" });
          response.write("data: 1\n\n");
        };
        const headers = await scene.fields(fields);
        const answer = await fetch(`${scene.gateway.url}/mcp`, {
          method,
          headers,
          ...(method === "POST" ? { body: "{}" } : {}),
        });
        assert.equal(answer.headers.get("content-type"), "text/event-stream");
        assert.equal(answer.headers.get("x-accel-buffering"), "no");
        assert.equal(answer.headers.get("cache-control"), "no-store");
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        for (const event of ["data: 1\n\n", ": comment\n\n", "data: 2\n\n"]) {
          // The next is sent only when this one was read.
          const { value } = await within(5_000, event, reader.read());
          assert.equal(value, event);
          if (event === "data: 1\n\n") stream.write(": comment\n\n");
          if (event === ": comment\n\n") stream.end("data: 2\n\n");
        }
        assert.equal((await reader.read()).done, true);
      });
    }
  }
});
