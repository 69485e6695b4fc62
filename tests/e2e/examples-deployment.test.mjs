/** The examples of deployments: Terraform by the attributes of its provider, and the template of the deploy button. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { plan } from "../../scripts/commands/deploy/plan.mjs";
import { parseSettings } from "../../scripts/lib/settings.mjs";
import { portcullis } from "./support/command.mjs";
import { ROOT } from "./support/processes.mjs";

const read = (...path) => readFileSync(join(ROOT, ...path), "utf8");

describe("the Terraform example", () => {
  const { resource, variable, output } = JSON.parse(read("examples", "terraform", "main.tf.json"));
  const schema = JSON.parse(read("tests", "vectors", "terraform-cloudflare.json"));
  const all = Object.entries(resource).flatMap(([type, named]) =>
    Object.entries(named).map(([name, attributes]) => ({ type, name, attributes })),
  );

  test("has the attributes that the provider requires, and none that it does not know", () => {
    assert.ok(all.length >= 4);
    for (const { type, name, attributes } of all) {
      const { required, optional } = schema[type];
      const given = Object.keys(attributes);
      for (const one of required) assert.ok(given.includes(one), `${type}.${name}: ${one} is missing`);
      for (const one of given) assert.ok([...required, ...optional].includes(one), `${type}.${name}: ${one}`);
    }
  });

  test("refers to what is there", () => {
    const text = JSON.stringify([resource, output]);
    for (const [, reference] of text.matchAll(/\$\{([^}]+)\}/g)) {
      const [type, name, attribute] = reference.split(".");
      if (type === "var") assert.ok(variable[name], reference);
      else assert.ok(resource[type][name] && schema[type].read_only.includes(attribute), reference);
    }
  });

  test("has the names under which the deployment looks for them", () => {
    const { steps } = plan({
      settings: {},
      own: {},
      name: "my-gate",
      document: { revocation: { kv: "REVOKED" }, decision_log: { queue: "DECISIONS" } },
      stored: "CONFIGURATION",
      bindings: [
        { name: "REVOKED", method: "get", at: "revocation.kv" },
        { name: "DECISIONS", method: "send", at: "decision_log.queue" },
      ],
      secrets: [],
    });
    const wanted = steps.flatMap(({ kind, title, name }) =>
      kind === "kv" ? [title] : kind === "queue" ? [name] : [],
    );
    const names = all.flatMap(({ attributes: { title, queue_name: queue } }) => title ?? queue ?? []);
    assert.deepEqual(names.map((name) => name.replace(/\$\{var\.worker\}/, "my-gate")).sort(), wanted.sort());
  });
});

describe("the template of the deploy button", () => {
  const folder = ["examples", "deploy-button"];

  test("is valid, and its secrets have examples and descriptions", async () => {
    const file = join(ROOT, ...folder, "wrangler.jsonc");
    const { code, stderr } = await portcullis(["check", "--config", file]);
    assert.equal(code, 0, stderr);
    const { stdout } = await portcullis(["document", "--json", "--config", file]);
    const { secrets } = JSON.parse(stdout);
    const { cloudflare, dependencies } = JSON.parse(read(...folder, "package.json"));
    const examples = [...read(...folder, ".dev.vars.example").matchAll(/^(\w+)=/gm)].map(([, name]) => name);
    assert.deepEqual(examples, secrets);
    assert.deepEqual(Object.keys(cloudflare.bindings), secrets);
    assert.equal(dependencies.portcullis, JSON.parse(read("package.json")).version);
  });

  test("starts like the Worker of the repository", () => {
    const own = parseSettings(read(...folder, "wrangler.jsonc"));
    const settings = parseSettings(read("wrangler.toml"));
    for (const key of ["compatibility_date", "compatibility_flags"])
      assert.deepEqual(own[key], settings[key]);
  });
});
