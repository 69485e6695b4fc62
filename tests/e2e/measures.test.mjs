/** What is known of each request besides its line: a data point of Analytics Engine, and the platform's trace. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { configFor } from "./support/gateway.mjs";
import { eventually, send } from "./support/http.mjs";
import { startStaticIssuer } from "./support/issuer.mjs";
import { startWitness } from "./support/origin.mjs";
import { call, modern } from "./support/policy.mjs";
import { startWithSinks } from "./support/sinks.mjs";

const PATIENCE = { timeout: 60_000 };

test("each request is a data point, and named in the trace by what it asked for", PATIENCE, async () => {
  const idp = await startStaticIssuer();
  const origin = await startWitness();
  let gateway;
  try {
    gateway = await startWithSinks((url) =>
      configFor({
        url,
        issuer: idp.issuer,
        origin: origin.url,
        log: { requests: "refused", analytics_engine: "POINTS" },
      }),
    );
    const token = await idp.token(`${gateway.url}/mcp`);
    const post = ({ fields, body }, token) =>
      send(gateway, {
        method: "POST",
        fields: {
          "Content-Type": "application/json",
          ...fields,
          ...(token && { Authorization: `Bearer ${token}` }),
        },
        body,
      });
    for (let at = 0; at < 2; at += 1) assert.equal((await post(call(modern, "add"), token)).status, 200);
    assert.equal((await post(call(modern, "add"))).status, 401);

    await eventually("the data points", () => gateway.points.length === 3);
    assert.deepEqual(
      gateway.points.map(({ blobs }) => [blobs[2], blobs[3], blobs[7], blobs[8]]),
      [
        ["allow", "forwarded", "add", "miss"],
        ["allow", "forwarded", "add", "hit"],
        // What strangers say that they want is not written down.
        ["deny", "no_credentials", "", ""],
      ],
    );
    for (const { indexes, blobs, doubles } of gateway.points) {
      assert.deepEqual(indexes, ["/mcp"]);
      assert.deepEqual([blobs[0], blobs.length, doubles.length], ["1", 10, 5]);
    }
    assert.equal(gateway.points[2].doubles[0], 401);
    assert.ok(gateway.points[0].doubles[4] > 0, "the keys are fresh");

    const named = () =>
      gateway.traces.filter(({ type }) => type === "spanUpdate").map(({ info }) => info.name);
    await eventually("the traces", () => named().length === 3);
    assert.deepEqual(named().toSorted(), ["POST /mcp", "tools/call add", "tools/call add"]);
    const attributes = gateway.traces
      .filter(({ type }) => type === "attributes")
      .flatMap(({ info }) => info.map(({ name, value }) => `${name}=${value}`));
    for (const known of [
      "mcp.method.name=tools/call",
      "gen_ai.tool.name=add",
      "gen_ai.operation.name=execute_tool",
      "http.route=/mcp",
      "http.response.status_code=200",
      "http.response.status_code=401",
      "error.type=no_credentials",
    ])
      assert.ok(attributes.includes(known), `${known} is not in ${attributes.join(" ")}`);
  } finally {
    await Promise.all([gateway?.close(), idp.close(), origin.close()]);
  }
});
