/** Every configuration in the guides is one that the gateway takes as it stands. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "smol-toml";
import { startFleet } from "./support/fleet.mjs";

const root = new URL("../../", import.meta.url);
const KEY = JSON.stringify(
  generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" }),
);
const SECRETS = {
  INTROSPECTION_SECRET: "secret",
  DPOP_NONCES: "0123456789abcdef0123456789abcdef",
  SESSION_SECRET: "0123456789abcdef0123456789abcdef",
  SIGNING_KEY: KEY,
  ASSERTION_KEY: KEY,
  SEALING_SECRET: "0123456789abcdef0123456789abcdef",
  METRICS_SECRET: "0123456789abcdef0123456789abcdef",
  LOGIN_SECRET: "what the provider gave",
  REPORT_SECRET: "0123456789abcdef0123456789abcdef",
};

const guides = ["README.md", ...readdirSync(new URL("docs/", root)).map((name) => `docs/${name}`)].filter(
  (name) => name.endsWith(".md"),
);
const blocks = guides.flatMap((guide) => {
  const text = readFileSync(new URL(guide, root), "utf8");
  return [...text.matchAll(/```toml\n([^`]*)```/g)]
    .map(([, toml]) => parse(toml))
    .filter(({ vars }) => vars?.PORTCULLIS !== undefined)
    .map(({ vars }, at) => ({ name: `${guide}, block ${at + 1}`, document: vars.PORTCULLIS }));
});

test(`${blocks.length} configurations of ${guides.length} guides`, { timeout: 60_000 }, async () => {
  assert.ok(blocks.length >= 26, `${blocks.length}`);
  const fleet = await startFleet({
    documents: blocks.map(({ document }) => document),
    secrets: SECRETS,
    outbound: () => assert.fail("nothing is asked for"),
  });
  try {
    for (const [at, { name, document }] of blocks.entries()) {
      const answer = await fleet.gateways[at].fetch(`${document.public_url}/healthz`, {});
      assert.equal(answer.status, 200, `${name}: ${await answer.text()}`);
      const path = document.resources[0].path;
      const refused = await fleet.gateways[at].fetch(`${document.public_url}${path}`, {
        method: "POST",
        body: "{}",
        headers: { "content-type": "application/json" },
      });
      assert.equal(refused.status, 401, `${name}: nobody passes without a credential`);
      await refused.text();
    }
  } finally {
    await fleet.close();
  }
});
