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

/** What Analytics Engine is asked in the guides and the dashboard. */
test("questions to Analytics Engine ask for what is there", () => {
  const operations = readFileSync(new URL("docs/operations.md", root), "utf8");
  const { panels } = JSON.parse(readFileSync(new URL("docs/grafana.json", root), "utf8"));
  const questions = [
    ...[...operations.matchAll(/`(SELECT [^`]*)`/g)].map(([, question]) => question),
    ...panels.map(({ targets: [{ query }] }) => query),
  ];
  assert.ok(questions.length >= 18, `${questions.length}`);
  const has = { DECISIONS: { blob: 8, double: 0 }, REQUESTS: { blob: 10, double: 5 } };
  for (const question of questions) {
    const [, table] = question.match(/ FROM (\w+)/);
    for (const [, kind, number] of question.matchAll(/\b(blob|double)(\d+)/g))
      assert.ok(Number(number) <= has[table][kind], `${question}: ${kind}${number}`);
  }
});

/** A part of a document, put into the one of wrangler.toml, as its reader would. */
function whole(part) {
  if (part.public_url !== undefined || part.stored !== undefined) return part;
  const { PORTCULLIS: demo } = parse(readFileSync(new URL("wrangler.toml", root), "utf8")).vars;
  const { resources = {}, ...rest } = part;
  const [resource] = [resources].flat();
  return { ...demo, ...rest, resources: [{ ...demo.resources[0], ...resource }] };
}

const guides = ["README.md", ...readdirSync(new URL("docs/", root)).map((name) => `docs/${name}`)].filter(
  (name) => name.endsWith(".md"),
);
const blocks = guides.flatMap((guide) => {
  const text = readFileSync(new URL(guide, root), "utf8");
  return [...text.matchAll(/```toml\n([^`]*)```/g)]
    .map(([, toml]) => parse(toml))
    .filter(({ vars }) => vars?.PORTCULLIS !== undefined)
    .map(({ vars, kv_namespaces = [] }, at) => ({
      name: `${guide}, block ${at + 1}`,
      document: whole(vars.PORTCULLIS),
      namespaces: kv_namespaces.map(({ binding }) => binding),
    }));
});
const [elsewhere, here] = [true, false].map((is) =>
  blocks.filter(({ document }) => (document.stored !== undefined) === is),
);

test(`${here.length} configurations of ${guides.length} guides`, { timeout: 60_000 }, async () => {
  assert.ok(here.length >= 26, `${here.length}`);
  const fleet = await startFleet({
    documents: here.map(({ document }) => document),
    secrets: SECRETS,
    outbound: () => assert.fail("nothing is asked for"),
  });
  try {
    for (const [at, { name, document }] of here.entries()) {
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

test("where the document is elsewhere, its binding stands beside it", () => {
  assert.ok(elsewhere.length > 0);
  for (const { name, document, namespaces } of elsewhere)
    assert.ok(namespaces.includes(document.stored.kv), name);
});
