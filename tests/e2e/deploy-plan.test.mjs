/** The plan of a deployment, and the changes of wrangler's configuration, as functions. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { withEntry, withId, withText } from "../../scripts/commands/deploy/edit.mjs";
import { GENERATED, plan } from "../../scripts/commands/deploy/plan.mjs";
import { ROOT } from "./support/processes.mjs";

const ID = "0123456789abcdef0123456789abcdef";
const asked = (changes = {}) => {
  const { own = {}, settings = own, bindings = [], secrets = [], document = {}, ...more } = changes;
  return plan({ settings, own, name: "gate", document, bindings, secrets, ...more });
};
const REPLAY = { name: "REPLAY", method: "idFromName", at: "dpop.replay_binding" };
const bound = { durable_objects: { bindings: [{ name: "REPLAY", class_name: "ReplayGuard" }] } };

describe("the plan", () => {
  test("knows which classes there are after all migrations", () => {
    for (const [migrations, steps, problems] of [
      [[], 1, 0],
      [[{ tag: "v1", new_sqlite_classes: ["ReplayGuard"] }], 0, 0],
      [
        [
          { tag: "v1", new_sqlite_classes: ["Old"] },
          { tag: "v2", renamed_classes: [{ from: "Old", to: "ReplayGuard" }] },
        ],
        0,
        0,
      ],
      [[{ tag: "v1", transferred_classes: [{ from: "A", from_script: "b", to: "ReplayGuard" }] }], 0, 0],
      [
        [
          { tag: "v1", new_sqlite_classes: ["ReplayGuard"] },
          { tag: "v2", deleted_classes: ["ReplayGuard"] },
        ],
        1,
        0,
      ],
      [[{ tag: "v1", new_classes: ["ReplayGuard"] }], 0, 1],
    ]) {
      const found = asked({ own: { ...bound, migrations }, bindings: [REPLAY] });
      assert.deepEqual(
        [found.steps.length, found.problems.length],
        [steps, problems],
        JSON.stringify(migrations),
      );
    }
    const taken = asked({
      own: { ...bound, migrations: [{ tag: "v2", new_sqlite_classes: ["A"] }] },
      bindings: [REPLAY],
    });
    assert.deepEqual(taken.steps[0].entry, { tag: "v3", new_sqlite_classes: ["ReplayGuard"] });
  });

  test("leaves Durable Objects of another Worker alone", () => {
    const [one] = bound.durable_objects.bindings;
    const own = { durable_objects: { bindings: [{ ...one, script_name: "other" }] } };
    assert.deepEqual(asked({ own, bindings: [REPLAY] }).steps, []);
  });

  test("has one entry for a binding that two keys name", () => {
    const bindings = ["log.analytics_engine", "decision_log.analytics_engine"].map((at) => ({
      ...{ name: "DATA", method: "writeDataPoint" },
      at,
    }));
    assert.equal(asked({ bindings }).steps.length, 1);
  });

  test("finds names that something else has", () => {
    const bindings = [{ name: "REVOKED", method: "get", at: "revocation.kv" }];
    const own = { r2_buckets: [{ binding: "REVOKED" }], vars: { METRICS: "x" } };
    const { problems } = asked({ own, bindings, secrets: ["METRICS"] });
    assert.match(problems.join("\n"), /revocation\.kv: "REVOKED" is already a name in r2_buckets/);
    assert.match(problems.join("\n"), /the secret "METRICS" has a name that vars has too/);
  });

  test("names the cron trigger of a gateway that polls", () => {
    const signals = { poll: { url: "https://login.example/poll", secret: "TOKEN" } };
    const document = { authorization_server: { trusted_issuers: [{ name: "a" }, { name: "b", signals }] } };
    const found = (own, more = {}) =>
      asked({ document, own: { main: "x.js", ...own }, ...more }).problems.join("\n");
    assert.match(
      found({}),
      /trusted_issuers\[1\]\.signals\.poll: \[triggers\] has no crons = \["\* \* \* \* \*"\]/,
    );
    assert.match(found({ triggers: { crons: ["0 * * * *"] } }), /has no crons/);
    assert.match(found({}, { env: "prod" }), /\[env\.prod\.triggers\]/);
    assert.equal(found({ triggers: { crons: ["0 * * * *", "* * * * *"] } }), "");
    // An environment inherits them.
    assert.equal(found({}, { settings: { triggers: { crons: ["* * * * *"] } }, env: "prod" }), "");
  });

  test("generates a secret that is for the gateway alone, and asks for every other one", () => {
    const document = {
      identity_assertion: { key_secrets: ["KEY"] },
      sessions: { secrets: ["SESSION", "BOTH"] },
      authorization_server: { secrets: ["SEAL"], login: { secret: "IDP" }, clients: [{ secret: "BOTH" }] },
    };
    const { steps } = asked({
      document,
      secrets: ["BOTH", "IDP", "KEY", "SEAL", "SESSION"],
      own: { main: "x.js" },
    });
    const hows = Object.fromEntries(steps.map(({ name, how }) => [name, how]));
    assert.deepEqual(hows, { BOTH: "asked", IDP: "asked", KEY: "key", SEAL: "text", SESSION: "text" });
  });
});

test("each secret that can be generated is a key of the configuration", () => {
  const { $defs, ...root } = JSON.parse(readFileSync(join(ROOT, "docs", "portcullis.schema.json"), "utf8"));
  const target = ({ $ref, anyOf = [], items = {} }) =>
    $ref ?? items.$ref ?? anyOf.find((one) => one.$ref)?.$ref;
  for (const { at } of GENERATED) {
    const path = at.source.replace(/^\^|\\|\$$/g, "").split(".");
    const found = path.reduce((table, name) => {
      const value = table?.properties?.[name.replace("[]", "")];
      const ref = value && target(value);
      return ref ? $defs[ref.split("/").at(-1)] : value;
    }, root);
    assert.ok(found, path.join("."));
  }
});

describe("changes of the file", () => {
  const entry = { binding: "R", id: ID };
  const path = ["kv_namespaces"];

  test("JSON with comments: everything else stays, and comments stay where they were", () => {
    for (const [before, after] of [
      [
        '{\n  "kv_namespaces": [\n    {"binding":"A","id":"1"}, // a\n    // last\n  ],\n}\n',
        `{\n  "kv_namespaces": [\n    {"binding":"A","id":"1"}, // a\n    { "binding": "R", "id": "${ID}" },\n    // last\n  ],\n}\n`,
      ],
      [
        '{\n  "kv_namespaces": [\n    {"binding":"A","id":"1"} // a\n  ]\n}\n',
        `{\n  "kv_namespaces": [\n    {"binding":"A","id":"1"}, // a\n    { "binding": "R", "id": "${ID}" }\n  ]\n}\n`,
      ],
      [
        '{ "kv_namespaces": [{"binding":"A","id":"1"}] }',
        `{ "kv_namespaces": [{"binding":"A","id":"1"}, { "binding": "R", "id": "${ID}" }] }`,
      ],
      [
        '{\r\n\t"kv_namespaces": [\r\n\t\t{"binding":"A"}\r\n\t]\r\n}',
        `{\r\n\t"kv_namespaces": [\r\n\t\t{"binding":"A"},\r\n\t\t{ "binding": "R", "id": "${ID}" }\r\n\t]\r\n}`,
      ],
    ])
      assert.equal(withEntry(before, path, entry), after);
    const fresh = withEntry('{\n  // mine\n  "name": "x"\n}\n', path, entry);
    assert.ok(fresh.startsWith('{\n  // mine\n  "name": "x"'), fresh);
  });

  test("TOML: an entry at the end, with the line breaks of the file", () => {
    const block = `[[kv_namespaces]]\nbinding = "R"\nid = "${ID}"\n`;
    assert.equal(withEntry('name = "x"\n\n\n', path, entry), `name = "x"\n\n\n\n${block}`);
    assert.equal(withEntry('name = "x"', path, entry), `name = "x"\n\n${block}`);
    const dos = withEntry('name = "x"\r\n', path, entry);
    assert.equal(dos, `name = "x"\r\n\r\n${block.replaceAll("\n", "\r\n")}`);
    assert.equal(withEntry("kv_namespaces = []\n", path, entry), undefined);
  });

  test("an id goes into its own entry", () => {
    const toml = '[[kv_namespaces]]\r\nbinding = "R"\r\n[[env.a.kv_namespaces]]\r\nbinding = "R"\r\n';
    assert.equal(withId(toml, ["env", "a", "kv_namespaces"], "R", ID), `${toml}id = "${ID}"\r\n`);
    const json = '{"kv_namespaces":[{"binding":"A"},{"binding":"R","id":"…"}]}';
    assert.equal(withId(json, path, "R", ID), json.replace("…", ID));
    assert.equal(
      withId('{"kv_namespaces":[{"binding":"R", "x": 1}]}', path, "R", ID),
      `{"kv_namespaces":[{"binding":"R", "id": "${ID}", "x": 1}]}`,
    );
  });

  test("another Worker for one environment alone", () => {
    const toml = '# "a/build/index.js"\nmain = "a/build/index.js"\n[env.p]\nmain = "a/build/index.js"\n';
    const from = "a/build/index.js";
    assert.equal(
      withText(toml, ["main"], from, "b"),
      toml.replace('main = "a/build/index.js"', 'main = "b"'),
    );
    assert.equal(
      withText(toml, ["env", "p", "main"], from, "b"),
      toml.replace('[env.p]\nmain = "a/build/index.js"', '[env.p]\nmain = "b"'),
    );
    assert.equal(withText(toml, ["env", "q", "main"], from, "b"), undefined);
  });
});
