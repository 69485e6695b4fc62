/** Isolates of one place share the keys of issuers through the Cache API. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { startFleet } from "./support/fleet.mjs";

const corpus = JSON.parse(readFileSync(new URL("../vectors/hostile.json", import.meta.url), "utf8"));
const good = corpus.cases.find(({ name }) => name === "a good token").token;

test("the second isolate asks the issuer for nothing", { timeout: 30_000 }, async () => {
  const fetched = [];
  const document = {
    public_url: "https://gate.example",
    issuers: [{ name: "idp", issuer: corpus.issuer, jwks_uri: `${corpus.issuer}/keys` }],
    resources: [
      { path: "/mcp", origin: "https://tools.example/mcp", issuers: ["idp"], scopes: ["mcp:tools"] },
    ],
  };
  const fleet = await startFleet({
    documents: [document, document],
    outbound: ({ url }) => {
      if (new URL(url).host === "tools.example") return { body: "{}", type: "application/json" };
      fetched.push(url);
      return { body: JSON.stringify(corpus.jwks), type: "application/json" };
    },
  });
  try {
    for (const gateway of [...fleet.gateways, ...fleet.gateways]) {
      const answer = await gateway.fetch("https://gate.example/mcp", {
        method: "POST",
        headers: { authorization: `Bearer ${good}`, "content-type": "application/json" },
        body: "{}",
      });
      assert.equal(answer.status, 200, await answer.text());
    }
    assert.deepEqual(fetched, [`${corpus.issuer}/keys`]);
  } finally {
    await fleet.close();
  }
});
