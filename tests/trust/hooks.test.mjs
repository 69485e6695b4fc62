/** Hooks: the examples, as a user would write them, and hooks that fail. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { freePort, ROOT, startProcess, within } from "../e2e/support/processes.mjs";
import { noPython, python } from "../e2e/support/python.mjs";
import { startScene } from "../e2e/support/scene.mjs";
import { CLIENTS, textOf, eventually as until } from "../federation/support/scene.mjs";
import { startLeaky } from "./support/leaky.mjs";

/** A library of Presidio's would fetch a list, and goes on without it. */
const OFFLINE = { HTTPS_PROXY: "http://127.0.0.1:9", HTTP_PROXY: "http://127.0.0.1:9" };
const PATIENCE = { timeout: 180_000 };
const SECRETS = {
  SEAL: "a secret that seals".padEnd(40, "."),
  HOOK_SECRET: "what the hook knows".padEnd(40, "."),
};

const gateWith = (url, resource, rest = {}) =>
  startScene({
    secrets: SECRETS,
    resource: { origin: url, ...resource },
    changes: () => ({ sessions: { secrets: ["SEAL"] }, decision_log: {} }),
    ...rest,
  });

const call = (client, name, args) => client.callTool({ name, arguments: args });

describe("hooks", { ...PATIENCE, skip: noPython }, () => {
  let server;
  before(async () => {
    server = await startLeaky();
  });
  after(() => server?.close());

  for (const [name, { connect }] of Object.entries(CLIENTS)) {
    test(`${name}: the Worker of the example, behind a service binding`, PATIENCE, async () => {
      const script = await readFile(join(ROOT, "examples", "hook", "worker.js"), "utf8");
      const scene = await gateWith(
        server.url,
        { hooks: [{ id: "bank", service: "HOOK" }] },
        { workers: { HOOK: script } },
      );
      try {
        const client = await connect(scene);
        const small = await call(client, "transfer", { amount: 5, currency: "EUR", to: "DE12" });
        assert.equal(textOf(small), "moved 5 EUR to DE12");
        const large = await call(client, "transfer", { amount: 5000, currency: "EUR", to: "DE12" });
        assert.equal(large.isError, true);
        assert.match(textOf(large), /Transfers of more than 1000 need a person/);
        const link = await call(client, "echo", { text: "see https://wiki.internal.example/a?b=c and more" });
        assert.equal(textOf(link), "see [internal link] and more");
        await client.close();
      } finally {
        await scene.close();
      }
    });

    test(`${name}: the example in Python, by its URL`, PATIENCE, async () => {
      const port = await freePort();
      const hook = startProcess("python3", [join(ROOT, "examples", "hook", "hook.py"), `${port}`], {
        env: { HOOK_SECRET: SECRETS.HOOK_SECRET, PYTHONDONTWRITEBYTECODE: "1" },
      });
      const url = `http://127.0.0.1:${port}/`;
      await until(
        () =>
          fetch(url, { method: "POST" }).then(
            ({ status }) => status === 401,
            () => false,
          ),
        "the hook",
      );
      const hooks = [{ id: "people", url, secret: "HOOK_SECRET", on: ["results"], timeout_seconds: 20 }];
      const scene = await gateWith(server.url, { hooks });
      try {
        const client = await connect(scene);
        const echoed = textOf(await call(client, "echo", { text: "call +49 30 1234567 today" }));
        assert.match(echoed, /^call \[phone[_a-z]*\] (today|\[date_time\])$/);
        assert.equal(textOf(await call(client, "much", { bytes: 3 })), "xxx");
        await client.close();
      } finally {
        await scene.close();
        await hook.stop();
      }
    });
  }

  /** Runs the tests of the Python example; what they say. */
  const examples = async (python, env = {}) => {
    const folder = join(ROOT, "examples", "hook");
    const program = startProcess(python, [join(folder, "test_hook.py"), "-v"], {
      env: { ...env, PYTHONPATH: folder, PYTHONDONTWRITEBYTECODE: "1" },
    });
    try {
      const { code } = await within(120_000, "the tests end", program.exited, program.tail);
      assert.equal(code, 0, program.tail());
      return program.output.stderr;
    } finally {
      await program.stop();
    }
  };

  test("the tests of the example in Python, without Presidio", PATIENCE, async () => {
    assert.match(await examples("python3"), /^Ran 5 tests.*\n\nOK \(skipped=1\)/m);
  });

  test("the tests of the example in Python, with Presidio", { timeout: 400_000 }, async (context) => {
    const presidio = await python(["presidio-analyzer==2.2.366"]).catch((error) => error);
    if (presidio instanceof Error) return context.skip("presidio-analyzer cannot be installed here");
    // A model of spaCy comes from elsewhere than the registry: Presidio's own forms need none that was trained.
    const model = await mkdtemp(join(tmpdir(), "portcullis-spacy-"));
    try {
      const made = spawnSync(presidio, [
        "-c",
        `import spacy; spacy.blank("en").to_disk(${JSON.stringify(model)})`,
      ]);
      assert.equal(made.status, 0, `${made.stderr}`);
      assert.match(await examples(presidio, { SPACY_MODEL: model, ...OFFLINE }), /^Ran 5 tests.*\n\nOK\n/m);
    } finally {
      await rm(model, { recursive: true, force: true });
    }
  });

  const broken = {
    hangs: () => {},
    "answers HTML": (response) => response.writeHead(200, { "content-type": "text/html" }).end("<p>pass</p>"),
    "answers 10 MB": (response) =>
      response
        .writeHead(200, { "content-type": "application/json" })
        .end(`{"action":"pass","reason":"${"x".repeat(1e7)}"}`),
    redirects: (response) => response.writeHead(302, { location: "https://other.example/" }).end(),
    "closes the connection": (response) => response.destroy(),
  };
  for (const [what, answer] of Object.entries(broken))
    test(`a hook that ${what} is a failure`, PATIENCE, async () => {
      const hook = createServer((request, response) => {
        request.resume();
        answer(response);
      });
      await new Promise((resolve) => hook.listen(0, "127.0.0.1", resolve));
      const url = `http://127.0.0.1:${hook.address().port}/`;
      for (const [on_failure, expected] of [
        ["deny", /A check of the operator did not answer/],
        ["pass", /^hello$/],
      ]) {
        const hooks = [{ url, on: ["results"], timeout_seconds: 1, on_failure }];
        const scene = await gateWith(server.url, { hooks });
        try {
          const client = await CLIENTS["client 2.x, modern"].connect(scene);
          assert.match(textOf(await call(client, "echo", { text: "hello" })), expected);
          await client.close();
          assert.ok(scene.gateway.logs.some((line) => line.includes('"reason":"hook_failed"')));
        } finally {
          await scene.close();
        }
      }
      hook.closeAllConnections();
      await new Promise((resolve) => hook.close(resolve));
    });
});
