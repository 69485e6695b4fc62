/** Configuration in KV: in force without a deployment, and never with a mistake. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { configFor } from "./support/gateway.mjs";
import { eventually } from "./support/http.mjs";
import { withScene } from "./support/scene.mjs";

const PATIENCE = { timeout: 120_000 };
const RETRY = 2_100;
/** The configured minimum less what KV's own edge may take. */
const INTERVAL = 30_000;

/** A gateway whose variable says that the document is in KV. */
const stored = (work, kv = { CONFIGURATION: {} }) =>
  withScene({ kv, config: { stored: { kv: "CONFIGURATION" } } }, async (scene) => {
    const documentWith = ({ resource, ...changes } = {}) =>
      configFor({
        url: scene.gateway.url,
        issuer: scene.idp.issuer,
        origin: scene.origin.url,
        resource,
        ...changes,
      });
    const put = async (value) => {
      const store = await scene.gateway.kv("CONFIGURATION");
      await store.put("portcullis", typeof value === "string" ? value : JSON.stringify(value));
    };
    const said = (reason) => scene.gateway.events().filter((line) => line.reason === reason);
    await work({ scene, documentWith, put, said });
  });

test(
  "without a document nobody passes; with one everybody who may, at once and at the same time",
  PATIENCE,
  stored(async ({ scene, documentWith, put, said }) => {
    assert.equal((await scene.post()).status, 503);
    assert.equal((await scene.post()).status, 503);
    assert.match(said("configuration_unavailable")[0].detail, /key "portcullis": there is no such key$/);
    assert.equal(said("configuration_unavailable").length, 1, "not asked for again at once");
    await put("{}");
    await sleep(RETRY);
    assert.equal((await scene.post()).status, 503);
    assert.deepEqual(
      said("configuration_invalid").map(({ detail }) => detail),
      ["public_url: is required", "resources: is required"],
    );
    await put(documentWith());
    await sleep(RETRY);
    const answers = await Promise.all(Array.from({ length: 20 }, () => scene.post()));
    assert.deepEqual(
      answers.map(({ status }) => status),
      answers.map(() => 200),
    );
    assert.equal(said("configuration_activated").length, 1);
    assert.match(said("configuration_activated")[0].detail, /^version [0-9a-f]{16}$/);
    assert.ok(said("configuration_warning").length > 0);
  }),
);

test(
  "a change is in force within its interval; one with a mistake changes nothing, and is said once",
  PATIENCE,
  stored(async ({ scene, documentWith, put, said }) => {
    await put(documentWith());
    assert.equal((await scene.post()).status, 200);
    await put(documentWith({ resource: { scopes: ["mcp:more"] } }));
    assert.equal((await scene.post()).status, 200, "not yet looked for");
    await sleep(INTERVAL);
    await eventually("the new scopes", async () => (await scene.post()).status === 403, 5_000);
    assert.equal(said("configuration_activated").length, 2);

    await put({ ...documentWith(), resource: [] });
    await sleep(INTERVAL);
    await scene.post();
    await eventually("the refusal", () => said("configuration_refused").length === 1);
    assert.match(said("configuration_refused")[0].detail, /^version [0-9a-f]{16} changes nothing$/);
    assert.match(
      said("configuration_invalid")[0].detail,
      /^resource: unknown key; did you mean `resources`\?/,
    );
    assert.equal((await scene.post()).status, 403, "the old one is kept");

    const store = await scene.gateway.kv("CONFIGURATION");
    await store.delete("portcullis");
    await sleep(INTERVAL);
    await scene.post();
    await eventually("the line", () => said("configuration_unavailable").length > 0);
    assert.equal((await scene.post()).status, 403, "the old one is kept");
  }),
);

test(
  "without its binding nobody passes, and the log says which",
  PATIENCE,
  stored(async ({ scene, said }) => {
    assert.equal((await scene.post()).status, 503);
    assert.match(said("configuration_unavailable")[0].detail, /CONFIGURATION/);
  }, {}),
);
