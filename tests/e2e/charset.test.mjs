/** A message whose Content-Type names another charset than UTF-8, with a server that decodes it in that charset. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { send } from "./support/http.mjs";
import { LEGACY, startScene } from "./support/scene.mjs";

/** Text in UTF-7 (RFC 2152), which is ASCII for everything else. */
const utf7 = (text) => {
  const wide = Buffer.from(text, "utf16le").swap16();
  return `+${wide.toString("base64").replace(/=+$/, "")}-`;
};
/** What a server reads that decodes UTF-7: each run between + and - is UTF-16. */
const decoded = (text) =>
  text.replace(/\+([A-Za-z0-9+/]*)-?/g, (_, run) =>
    run === "" ? "+" : Buffer.from(run, "base64").swap16().toString("utf16le"),
  );

describe("a message that is another one in UTF-7", () => {
  let scene;
  let server;
  let called;
  before(
    async () => {
      server = createServer(async (request, response) => {
        const chunks = [];
        for await (const chunk of request) chunks.push(chunk);
        const text = Buffer.concat(chunks).toString();
        const isUtf7 = /charset="?utf-7/i.test(request.headers["content-type"]);
        called.push(JSON.parse(isUtf7 ? decoded(text) : text).method);
        response.writeHead(200, { "content-type": "application/json" });
        response.end('{"jsonrpc":"2.0","id":7,"result":{"tools":[]}}');
      });
      await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
      scene = await startScene({
        origin: `http://127.0.0.1:${server.address().port}/mcp`,
        resource: { rules: [{ effect: "deny", tools: ["delete"] }], anonymous: ["tools/list"] },
      });
    },
    { timeout: 60_000 },
  );
  after(() => {
    server?.close();
    return scene?.close();
  });

  const inside = '"}},"method":"tools/call","params":{"name":"delete","arguments":{"x":"';
  const body = `{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"_meta":{"x":"${utf7(inside)}"}}}`;

  test("the body is strict JSON, and in UTF-7 it calls the tool", () => {
    assert.equal(JSON.parse(body).method, "tools/list");
    assert.equal(JSON.parse(decoded(body)).method, "tools/call");
  });

  for (const type of ["charset=utf-7", 'charset="UTF-7"', "charset=utf-8; charset=utf-7", "charset=utf-16le"])
    test(`is 415 with ${type}`, async () => {
      for (const who of ["known", "anonymous"]) {
        called = [];
        const fields = { ...LEGACY, "Content-Type": `application/json; ${type}` };
        const all = who === "known" ? await scene.fields(fields) : fields;
        const answer = await send(scene.gateway, { method: "POST", fields: all, body });
        assert.equal(answer.status, 415, `${who}: ${answer.body}`);
        assert.deepEqual(called, []);
      }
    });

  test("is the message that the gateway has read without a charset", async () => {
    called = [];
    const answer = await scene.post({ fields: LEGACY, body });
    assert.deepEqual([answer.status, called], [200, ["tools/list"]], answer.body);
  });
});
