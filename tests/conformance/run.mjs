// The official conformance suite, through the gateway:
//
//   node tests/conformance/run.mjs             the whole way: suite, shim, gateway, origin
//   node tests/conformance/run.mjs --direct    the origin alone, to know whose fault a failure is
//   node tests/conformance/run.mjs --servers 3  a federation of three servers that share the tools, prompts and resources of the suite
//
// Results stay in tests/conformance/results.

import { writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { within } from "../e2e/support/processes.mjs";
import { runAuthorization } from "./authorization.mjs";
import { startStack } from "./stack.mjs";
import { runSuite } from "./suite.mjs";

// Written down here as well, so that a suite that shrinks is noticed.
const EXPECTED = { "2026-07-28": 37, "2025-11-25": 30 };
const EXPECTED_TASKS = 9;
// A scenario of the suite that checks nothing yet: it says itself that it waits for another channel. The tests in
// tests/e2e/tasks.test.mjs look at what it is about.
const NOTHING_IN_IT = "tasks-status-notifications";
// Federations with these numbers of servers have to pass the same scenarios.
const FEDERATIONS = [1, 3];
const START_TIMEOUT_MS = 90_000;
const STOP_TIMEOUT_MS = 10_000;
const PROGRESS_EVERY = 10;

const { values: flags } = parseArgs({
  options: { direct: { type: "boolean", default: false }, servers: { type: "string" } },
});
const results = fileURLToPath(new URL("results", import.meta.url));

let passed = 0;
let failed = 0;

const kinds = flags.direct
  ? [{ direct: true, label: "" }]
  : flags.servers === undefined
    ? [{ label: "" }, ...FEDERATIONS.map(federated)]
    : [federated(Number(flags.servers))];
for (const kind of kinds) await runStack(kind);
if (failed > 0) console.log(`see ${relative(process.cwd(), results)}`);
console.log(`${passed} passed, ${failed} failed`);
// Not left to an empty event loop: something that did not stop must not keep the caller waiting.
process.exit(failed > 0 ? 1 : 0);

function federated(servers) {
  return { servers, label: `federated, ${servers} ${servers === 1 ? "server" : "servers"}, ` };
}

async function runStack({ label, ...options }) {
  const stack = await within(START_TIMEOUT_MS, "starting everything", startStack(options));
  const folder = join(results, options.servers === undefined ? "plain" : `servers-${options.servers}`);
  try {
    for (const [revision, expected] of Object.entries(EXPECTED))
      await runRevision({ revision, expected, label, folder, url: stack.url });
    if (label === "" && !options.direct) tell("authorization", await runAuthorization(results));
    // Also when all is well, so that no log of an earlier run lies there.
    await writeFile(join(folder, "gateway.log"), stack.logs());
  } finally {
    await within(STOP_TIMEOUT_MS, "stopping everything", stack.close()).catch((error) =>
      console.error(error),
    );
  }
}

async function runRevision({ revision, expected, label, folder, url }) {
  let started = 0;
  const onProgress = (scenario) => {
    if (started++ % PROGRESS_EVERY === 0)
      console.log(`  ${label}${revision}: scenario ${started}, ${scenario}`);
  };
  const outcome = await runSuite({ revision, url, results: folder, onProgress });
  const complaint =
    outcome.scenarios.length === expected
      ? undefined
      : `${outcome.scenarios.length} scored scenarios, expected ${expected}`;
  tell(`${label}${revision}`, outcome, complaint);
  if (outcome.tasks.length > 0) tellTasks(label, outcome.tasks);
}

function tellTasks(label, all) {
  const scenarios = all.filter(({ name }) => name !== NOTHING_IN_IT);
  const empty = all.find(({ name }) => name === NOTHING_IN_IT);
  const complaint =
    scenarios.length !== EXPECTED_TASKS
      ? `${scenarios.length} scenarios for tasks, expected ${EXPECTED_TASKS}`
      : empty?.failures[0]?.id === "nothing-checked"
        ? undefined
        : `${NOTHING_IN_IT} checks something by now: count it`;
  tell(`${label}tasks`, { scenarios }, complaint);
  console.log(`  not counted: ${NOTHING_IN_IT}, in which the suite checks nothing`);
}

function tell(what, { scenarios, trouble }, complaint) {
  const good = scenarios.filter(({ failures }) => failures.length === 0).length;
  console.log(`conformance ${what}: ${good}/${scenarios.length}`);
  for (const { name, failures } of scenarios) {
    if (failures.length === 0) continue;
    console.log(`  FAILED ${name}`);
    for (const { id, message } of failures) console.log(`    ${id}: ${message}`);
  }

  passed += good;
  failed += scenarios.length - good;
  for (const what of [trouble, complaint].filter(Boolean)) {
    failed += 1;
    console.log(`  FAILED ${what}`);
  }
}
