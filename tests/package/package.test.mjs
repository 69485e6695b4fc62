/** The npm package, from the tarball, on a machine without Rust: its contents, a project of one's own, tests of rules, faults. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startIdentityProvider } from "../../examples/identity-provider/provider.mjs";
import { BIN, ROOT } from "../e2e/support/processes.mjs";
import { packedOnce, RELEASE } from "./support.mjs";

const MINUTES = 60_000;
const hash = (path) => createHash("sha256").update(readFileSync(path)).digest("hex");

describe("the package", { timeout: 30 * MINUTES, concurrency: false }, () => {
  let it;
  let installed;
  let project;
  let content;
  /** Runs the command line of the installed package. */
  const portcullis = (args, options) => it.run(project, "npx", ["portcullis", ...args], options);
  /** Runs a test with other text in a file of the project. */
  function withText(file, change, check) {
    const path = join(project, file);
    const text = readFileSync(path, "utf8");
    writeFileSync(path, change(text));
    try {
      return check();
    } finally {
      writeFileSync(path, text);
    }
  }

  before(
    () => {
      it = packedOnce();
      installed = it.installed;
      content = join(installed, "node_modules", "portcullis");
    },
    { timeout: 25 * MINUTES },
  );
  after(() => it?.close());

  describe("its contents", () => {
    const paths = () => it.packed.files.map(({ path }) => path);

    test("what users need is there", () => {
      for (const path of [
        "build/index.js",
        "build/index_bg.wasm",
        "build-full/index_bg.wasm",
        "build-packed/index_bg.wasm",
        "docs/portcullis.schema.json",
        "docs/portcullis.d.ts",
        "docs/start.md",
        "scripts/portcullis.mjs",
        "manifest.json",
        "THIRD-PARTY-LICENSES.txt",
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
      ])
        assert.ok(paths().includes(path), path);
    });

    test("the documents of users name this version", () => {
      for (const name of ["README.md", "docs/start.md"])
        assert.ok(readFileSync(join(ROOT, name), "utf8").includes(it.packed.filename), name);
      const create = JSON.parse(readFileSync(join(ROOT, "create", "package.json"), "utf8"));
      assert.equal(create.version, it.packed.version);
      assert.equal(create.dependencies.portcullis, it.packed.version);
    });

    test("what only developers need is not", () => {
      const own =
        /^(src\/(?!worker\/entry\.js)|tests|bench|fuzz|target|build-start|build-command|node_modules|Cargo|\.)/;
      assert.deepEqual(
        paths().filter((path) => own.test(path)),
        [],
      );
    });

    test("manifest.json has size and SHA-256 of everything that was built", () => {
      const list = readFileSync(join(content, "manifest.json"), "utf8");
      const { version, source, rustc, files } = JSON.parse(list);
      const { stdout: head } = spawnSync("git", ["rev-parse", "HEAD"], { cwd: ROOT, encoding: "utf8" });
      // An archive of the sources has no commit.
      assert.equal(source?.commit, head.trim() || undefined);
      assert.equal(version, it.packed.version);
      assert.match(rustc, /^rustc \d/);
      assert.equal(Object.keys(files).length, 6);
      for (const [path, { bytes, gzip, sha256 }] of Object.entries(files)) {
        assert.equal(hash(join(content, path)), sha256, path);
        assert.equal(readFileSync(join(content, path)).length, bytes, path);
        assert.ok(gzip < bytes, path);
      }
    });

    test("the licenses of all crates are there, each with its text", () => {
      const text = readFileSync(join(content, "THIRD-PARTY-LICENSES.txt"), "utf8");
      for (const name of ["serde_json", "worker", "wasm-bindgen", "chacha20poly1305", "clap"])
        assert.match(text, new RegExp(`^${name} \\d[\\w.+-]*: `, "m"));
      const [head] = text.split("-".repeat(80));
      const without = head.split("\n").filter((line) => line.endsWith(": see the text"));
      assert.deepEqual(without, []);
      assert.ok(text.includes("Permission is hereby granted"));
    });

    test("no file names a folder of the machine on which it was built", () => {
      const names = [homedir(), ROOT.replace(/\/$/, "")].filter((name) => name.length > 1);
      for (const path of paths().filter((path) => /^(build|manifest)/.test(path))) {
        const text = readFileSync(join(content, path), "latin1");
        for (const name of names) assert.ok(!text.includes(`${name}/`), `${path} names ${name}`);
      }
    });

    test("the command line is the Worker's own code in WebAssembly, and needs no compiler", () => {
      assert.ok(WebAssembly.validate(readFileSync(join(content, "build-packed", "index_bg.wasm"))));
      assert.notEqual(it.run(installed, "sh", ["-c", "command -v cargo || command -v rustc"]).status, 0);
    });
  });

  describe("npx portcullis", () => {
    const run = (args, options) => it.run(installed, "npx", ["portcullis", ...args], options);

    test("--help answers at once", () => {
      const begun = Date.now();
      const { status, stdout } = run(["--help"]);
      assert.equal(status, 0);
      assert.match(stdout, /^ {2}new /m);
      assert.ok(Date.now() - begun < 10_000, `${Date.now() - begun} ms`);
    });

    test("--version is that of the package", () => {
      assert.equal(run(["--version"]).stdout.trim(), `portcullis ${it.packed.version}`);
    });

    test("without a configuration it says what is missing", () => {
      const { status, stderr } = run(["check"]);
      assert.equal(status, 2);
      assert.match(stderr, /wrangler\.toml: there is no such file; there is no wrangler\.jsonc either/);
    });

    test("a name that no Worker can have is refused", () => {
      const { status, stderr } = run(["new", "My Gate"]);
      assert.equal(status, 2);
      assert.match(stderr, /small letters, digits and hyphens, got "My Gate"/);
      assert.ok(!existsSync(join(installed, "My Gate")));
    });

    test("a folder with something in it is left alone", () => {
      mkdirSync(join(installed, "taken"));
      writeFileSync(join(installed, "taken", "mine"), "mine");
      const { status, stderr } = run(["new", "taken"]);
      assert.equal(status, 2);
      assert.match(stderr, /is there already, and is not empty: nothing was changed/);
      assert.deepEqual(readdirSync(join(installed, "taken")), ["mine"]);
    });

    test("what cannot become a folder is refused", () => {
      writeFileSync(join(installed, "a-file"), "mine");
      symlinkSync("nowhere", join(installed, "a-link"));
      for (const name of ["a-file", "a-link"]) {
        const { status, stderr } = run(["new", name]);
        assert.equal(status, 2, stderr);
        assert.match(stderr, /is there already, and is not empty: nothing was changed/);
      }
      const { status, stderr } = run(["new", "a-file/inside"]);
      assert.equal(status, 2, stderr);
      assert.match(stderr, /portcullis: .*inside.*(cannot be made|is there already)/);
    });

    test("a package of unknown origin is not pinned by a version that anyone may publish", () => {
      const note = join(installed, "node_modules", ".package-lock.json");
      renameSync(note, `${note}.away`);
      try {
        const { status, stderr } = run(["new", "lost"]);
        assert.equal(status, 2);
        assert.match(
          stderr,
          /is not from a registry, and its tarball is not found: run `npm install \.\/portcullis-/,
        );
        assert.ok(!existsSync(join(installed, "lost")));
      } finally {
        renameSync(`${note}.away`, note);
      }
    });

    test("new makes a project", () => {
      const { status, stdout, stderr } = run(["new", "my-gate"]);
      assert.equal(status, 0, stderr);
      assert.match(stdout, /Next:\n {4}1\. cd my-gate\n {4}2\. npm install\n {4}3\. npm start/);
      project = join(installed, "my-gate");
      assert.deepEqual(readdirSync(project).sort(), [
        ".github",
        ".gitignore",
        "README.md",
        "package.json",
        "tests",
        "vendor",
        "wrangler.toml",
      ]);
      const { dependencies } = JSON.parse(readFileSync(join(project, "package.json"), "utf8"));
      // A copy of the tarball: the folder is complete, wherever it is checked out.
      assert.equal(dependencies.portcullis, `file:vendor/${it.packed.filename}`);
      assert.equal(hash(join(project, "vendor", it.packed.filename)), hash(it.tarball));
      assert.ok(readFileSync(join(project, "README.md"), "utf8").trim().split("\n").length <= 10);
    });

    test("new --jsonc makes the same one with wrangler.jsonc", () => {
      assert.equal(run(["new", "with-json", "--jsonc"]).status, 0);
      assert.ok(existsSync(join(installed, "with-json", "wrangler.jsonc")));
    });
  });

  test("npm create makes a project, too", { timeout: 3 * MINUTES }, () => {
    const folder = join(it.folder, "created");
    mkdirSync(folder);
    const made = it.run(folder, "npm", [
      ...["install", "--prefer-offline", "--no-audit", "--no-fund", it.tarball, it.createTarball],
    ]);
    assert.equal(made.status, 0, made.stderr);
    const { status, stdout, stderr } = it.run(folder, "npx", ["create-portcullis", "my-gate", "--jsonc"]);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /Next:\n {4}1\. cd my-gate/);
    assert.ok(existsSync(join(folder, "my-gate", "wrangler.jsonc")));
    const again = it.run(folder, "npx", ["create-portcullis", "my-gate"]);
    assert.equal(again.status, 2);
    assert.match(again.stderr, /is there already, and is not empty/);
  });

  describe("a project of one's own", () => {
    before(
      () => {
        const made = it.run(project, "npm", ["install", "--prefer-offline", "--no-audit", "--no-fund"]);
        assert.equal(made.status, 0, made.stderr);
      },
      { timeout: 5 * MINUTES },
    );

    test("npm start runs it, in front of an identity provider and an MCP server", {
      timeout: 3 * MINUTES,
    }, async () => {
      const begun = Date.now();
      const program = it.start(project, "npm", ["start"]);
      try {
        const text = await program.until(
          "the commands to try",
          ({ stdout }) => /Ctrl-C/.test(stdout) && stdout,
          60_000,
        );
        const seconds = (Date.now() - begun) / 1000;
        assert.ok(seconds < 60, `${seconds} s`);
        const [url] = text.match(/http:\/\/localhost:\d+\/mcp/);
        const refused = await fetch(url, {
          method: "POST",
          body: "{}",
          headers: { "content-type": "application/json" },
        });
        assert.equal(refused.status, 401);
        assert.match(refused.headers.get("www-authenticate"), /resource_metadata=/);
      } finally {
        await program.stop();
      }
    });

    test("npm test checks the configuration, the rules and what clients would meet", {
      timeout: 3 * MINUTES,
    }, () => {
      const { status, stdout, stderr } = it.run(project, "npm", ["test"]);
      assert.equal(status, 0, `${stdout}${stderr}`);
      assert.match(stdout, /wrangler\.toml: valid/);
      assert.match(stdout, /^6 passed, 0 failed$/m);
      assert.match(stdout, /mcp-remote/);
    });

    test("check names a mistake with its line", () => {
      withText(
        "wrangler.toml",
        (text) => text.replace('effect = "allow"', 'effect = "alow"'),
        () => {
          const { status, stderr } = portcullis(["check"]);
          assert.equal(status, 2);
          assert.match(
            stderr,
            /wrangler\.toml:\d+:\d+: resources\[0\]\.rules\[1\]\.effect: must be one of allow/,
          );
        },
      );
    });

    test("deploy --dry-run checks, bundles and weighs, and refuses what is for this machine only", () => {
      const dry = portcullis(["deploy", "--dry-run"]);
      assert.equal(dry.status, 0, dry.stderr);
      assert.match(dry.stdout, /bundle: [\d.]+ KB gzipped/);
      const real = portcullis(["deploy"]);
      assert.equal(real.status, 2);
      assert.match(real.stderr, /is for a gateway on this machine/);
    });

    test("two configuration files are one too many", () => {
      writeFileSync(join(project, "wrangler.jsonc"), "{}");
      try {
        for (const args of [
          ["check"],
          ["deploy", "--dry-run"],
          ["init", "--public-url", "https://a.example"],
        ]) {
          const { status, stderr } = portcullis(args);
          assert.equal(status, 2, `${args}`);
          if (args[0] !== "init")
            assert.match(
              stderr,
              /wrangler\.toml and wrangler\.jsonc are both here: remove one, or name one with --config/,
            );
        }
      } finally {
        rmSync(join(project, "wrangler.jsonc"));
      }
    });

    test("document and schema are there for editors", () => {
      const document = JSON.parse(portcullis(["document", "--json"]).stdout);
      assert.match(document.version, /^[0-9a-f]+$/);
      const schema = JSON.parse(readFileSync(join(content, "docs", "portcullis.schema.json"), "utf8"));
      assert.ok(schema.$defs.ResourceDocument ?? schema.properties.resources);
    });

    test("keys, apikey, completions and man work", () => {
      assert.match(portcullis(["keys", "make"]).stdout, /"kty":"(EC|OKP|RSA)"/);
      assert.match(portcullis(["completions", "bash"]).stdout, /complete -F _portcullis/);
      assert.match(portcullis(["man"]).stdout, /\.TH portcullis 1/);
    });
  });

  describe("an upgrade from the release before", () => {
    let folder;
    const run = (args) => it.run(folder, "npx", ["portcullis", ...args]);
    before(
      () => {
        folder = join(it.folder, "upgraded");
        mkdirSync(folder);
        const before = it.run(folder, "npm", [
          "install",
          "--prefer-offline",
          "--no-audit",
          "--no-fund",
          RELEASE,
        ]);
        assert.equal(before.status, 0, before.stderr);
        const made = run(["new", "gate"]);
        assert.equal(made.status, 0, made.stderr);
        renameSync(join(folder, "node_modules"), join(folder, "gate", "node_modules"));
        folder = join(folder, "gate");
      },
      { timeout: 3 * MINUTES },
    );

    test("its project goes on to work, and migrate rewrites what was renamed", {
      timeout: 3 * MINUTES,
    }, () => {
      const file = join(folder, "wrangler.toml");
      const text = readFileSync(file, "utf8");
      assert.equal(run(["--version"]).stdout.trim(), "portcullis 0.1.0");
      const after = it.run(folder, "npm", [
        "install",
        "--prefer-offline",
        "--no-audit",
        "--no-fund",
        it.tarball,
      ]);
      assert.equal(after.status, 0, after.stderr);
      assert.equal(run(["--version"]).stdout.trim(), `portcullis ${it.packed.version}`);
      for (const args of [["check"], ["test"], ["deploy", "--dry-run"]]) {
        const { status, stderr } = run(args);
        assert.equal(status, 0, `${args}: ${stderr}`);
      }
      const old = `${text}\n[vars.PORTCULLIS.identity_assertion]\nkey_secret = "KEY" # signs\n`;
      writeFileSync(file, old);
      assert.match(run(["check"]).stderr, /key_secret: is now called key_secrets: npx portcullis migrate/);
      const migrated = run(["migrate"]);
      assert.equal(migrated.status, 0, migrated.stderr);
      assert.equal(readFileSync(file, "utf8"), old.replace('key_secret = "KEY"', 'key_secrets = ["KEY"]'));
      assert.equal(run(["check"]).status, 0);
    });
  });

  describe("tests of the rules", () => {
    const loosened = (text) =>
      text.replace(
        'effect = "step_up"\ntools = ["add"]\nscopes = ["files:write"]',
        'effect = "allow"\ntools = ["add"]',
      );

    test("a rule that is loosened fails, and the report names who could do what", () => {
      withText("wrangler.toml", loosened, () => {
        const { status, stdout } = portcullis(["test"]);
        assert.equal(status, 1);
        assert.match(stdout, /FAIL {2}ada: add: allow, by adding-needs-more; expected step_up files:write/);
        assert.match(stdout, /^5 passed, 1 failed$/m);
      });
    });

    test("--json and --junit say the same", () => {
      withText("wrangler.toml", loosened, () => {
        const file = join(project, "report.xml");
        const { status } = portcullis(["test", "--junit", "report.xml"]);
        assert.equal(status, 1);
        const xml = readFileSync(file, "utf8");
        rmSync(file);
        assert.match(xml, /<testsuites tests="6" failures="1">/);
        assert.match(
          xml,
          /<testcase [^>]*name="ada: add"><failure message="allow, by adding-needs-more; expected/,
        );
        const { passed, failed, cases } = JSON.parse(portcullis(["test", "--json"]).stdout);
        assert.deepEqual([passed, failed, cases.length], [5, 1, 6]);
      });
    });

    test("a report has one line for each example, and XML for every name", () => {
      const forged = "w\\r\\n  ok    ada: add: allow\\u0000\\ufffe<";
      const change = (text) =>
        text.replaceAll('"whoami": {', `"${forged}": {`).replaceAll('"whoami": "', `"${forged}": "`);
      withText("tests/policy.json", change, () => {
        const { status, stdout } = portcullis(["test", "--junit", "report.xml"]);
        assert.equal(status, 0, stdout);
        assert.doesNotMatch(stdout, /^ {2}ok {4}ada: add: allow/m);
        const xml = readFileSync(join(project, "report.xml"), "utf8");
        rmSync(join(project, "report.xml"));
        assert.ok(xml.includes("&#13;&#10;  ok    ada: add: allow\ufffd\ufffd&#60;"), xml);
        for (const character of ["\0", "\ufffe", "&#0;"]) assert.ok(!xml.includes(character));
      });
    });

    test("what no example uses is noted", () => {
      withText(
        "tests/policy.json",
        (text) => text.replace('"requests": {', '"requests": { "unused": { "tool": "x" },'),
        () => {
          const { status, stdout } = portcullis(["test"]);
          assert.equal(status, 0);
          assert.match(stdout, /^ {2}note {2}no decision is about the request "unused"$/m);
        },
      );
    });

    test("a report that cannot be written, or is of an earlier run", () => {
      const { status, stderr } = portcullis(["test", "--junit", "no/such/folder.xml"]);
      assert.equal(status, 2);
      assert.match(stderr, /--junit "no\/such\/folder\.xml" cannot be written/);
      writeFileSync(join(project, "report.xml"), "of an earlier run");
      withText(
        "tests/policy.json",
        () => "{",
        () => {
          assert.equal(portcullis(["test", "--junit", "report.xml"]).status, 2);
          assert.ok(!existsSync(join(project, "report.xml")));
        },
      );
    });

    test("diff lists what a change of rules changes", () => {
      const before = join(project, "before.toml");
      copyFileSync(join(project, "wrangler.toml"), before);
      try {
        const same = portcullis(["diff", "before.toml", "wrangler.toml"]);
        assert.equal(same.status, 0, same.stdout);
        assert.match(same.stdout, /^6 decisions: 6 the same, 0 changed, 0 unknown$/m);
        withText("wrangler.toml", loosened, () => {
          const { status, stdout } = portcullis(["diff", "before.toml", "wrangler.toml"]);
          assert.equal(status, 1);
          assert.match(
            stdout,
            /ada: add: step_up files:write by adding-needs-more -> allow by adding-needs-more/,
          );
          assert.match(stdout, /^6 decisions: 5 the same, 1 changed, 0 unknown$/m);
        });
      } finally {
        rmSync(before);
      }
    });

    for (const [what, change, why] of [
      ["is not JSON", () => "{", /tests\/policy\.json: /],
      ["has an unknown key", (text) => text.replace('"callers"', '"caller"'), /unknown field `caller`/],
      [
        "names a caller that is not there",
        (text) => text.replace('"ada": {\n      "whoami"', '"bob": {\n      "whoami"'),
        /decisions names "bob", which is not in callers/,
      ],
      [
        "expects what is no decision",
        (text) => text.replace('"login"', '"maybe"'),
        /must be "allow", "approve", "deny", "login", "sign_in" or "step_up SCOPES", got "maybe"/,
      ],
      [
        "has a call of two things",
        (text) => text.replace('"tool": "whoami"', '"tool": "whoami", "uri": "a:b"'),
        /only one of tool, prompt and uri/,
      ],
      [
        "has an issuer that is none",
        (text) => text.replace('"claims": {', '"issuer": "demoo", "claims": {'),
        /\/mcp accepts no credentials of "demoo"; it accepts those of demo/,
      ],
      [
        "has a method that is none",
        (text) => text.replace('"tool": "whoami"', '"method": "toools/call"'),
        /"toools\/call" is no method of MCP, and no rule names it/,
      ],
      [
        "names another resource",
        (text) => text.replace('"/mcp"', '"/other"'),
        /there is no resource \/other; the resources are \/mcp/,
      ],
    ])
      test(`a file of examples that ${what}`, () => {
        withText("tests/policy.json", change, () => {
          const { status, stderr } = portcullis(["test"]);
          assert.equal(status, 2);
          assert.match(stderr, why);
        });
      });

    test("a project without examples says where they go", () => {
      renameSync(join(project, "tests"), join(project, "away"));
      try {
        const { status, stderr } = portcullis(["test"]);
        assert.equal(status, 2);
        assert.match(stderr, /there is no file of examples: name one, or write tests\/policy\.json/);
      } finally {
        renameSync(join(project, "away"), join(project, "tests"));
      }
    });
  });

  describe("wrangler.jsonc", () => {
    let other;
    before(() => {
      other = join(installed, "with-json");
      // Installed once: both projects have the same packages.
      renameSync(join(project, "node_modules"), join(other, "node_modules"));
    });
    after(() => renameSync(join(other, "node_modules"), join(project, "node_modules")));
    const run = (args, options) => it.run(other, "npx", ["portcullis", ...args], options);

    test("check, test and deploy take it, comments and trailing commas included", () => {
      assert.match(run(["check"]).stdout, /wrangler\.jsonc: valid/);
      assert.match(run(["test"]).stdout, /^6 passed, 0 failed$/m);
      const dry = run(["deploy", "--dry-run"]);
      assert.equal(dry.status, 0, dry.stderr);
    });

    test("a mistake has its line and column", () => {
      const path = join(other, "wrangler.jsonc");
      const text = readFileSync(path, "utf8");
      writeFileSync(path, text.replace('"effect": "allow"', '"effect": "alow"'));
      assert.match(run(["check"]).stderr, /wrangler\.jsonc:\d+:\d+: resources\[0\]\.rules\[1\]\.effect/);
      writeFileSync(path, text.replace('"path": "/mcp",', '"path": "/mcp", "path": "/other",'));
      assert.match(run(["check"]).stderr, /the member "path" is there twice/);
      writeFileSync(path, `${text}}`);
      const { status, stderr } = run(["check"]);
      assert.equal(status, 2);
      assert.match(stderr, /wrangler\.jsonc: /);
      writeFileSync(path, text);
    });

    test("push takes a document for the gateway of a wrangler.jsonc", { timeout: MINUTES }, () => {
      const path = join(other, "wrangler.jsonc");
      const text = readFileSync(path, "utf8");
      copyFileSync(path, join(other, "document.jsonc"));
      const stored = {
        name: "with-json",
        main: "node_modules/portcullis/build/index.js",
        compatibility_date: "2026-11-01",
        kv_namespaces: [{ binding: "CONFIGURATION", id: "0123456789abcdef0123456789abcdef" }],
        vars: { PORTCULLIS: { stored: { kv: "CONFIGURATION" } } },
      };
      writeFileSync(path, `// the document is in KV\n${JSON.stringify(stored)}`);
      try {
        const { status, stdout, stderr } = run(["push", "document.jsonc", "--local"]);
        assert.equal(status, 0, stderr);
        assert.match(stdout, /wrote version [0-9a-f]+ \(\d+ bytes\) to KV "CONFIGURATION"/);
      } finally {
        writeFileSync(path, text);
        rmSync(join(other, "document.jsonc"));
      }
    });

    test("init puts one's own server and provider into it, and keeps rules and comments", async () => {
      const idp = await startIdentityProvider({ autoLogin: true });
      const path = join(other, "wrangler.jsonc");
      const text = readFileSync(path, "utf8");
      try {
        const args = [
          "init",
          "--public-url",
          "https://mcp.example.com",
          "--origin",
          "https://tools.example.com/mcp",
        ];
        const made = await it.runAside(other, "npx", ["portcullis", ...args, "--provider", idp.issuer]);
        assert.equal(made.code, 0, made.stderr);
        const after = readFileSync(path, "utf8");
        for (const kept of ["// Who may call what", "// Without it a Worker is not", '"adding-needs-more"'])
          assert.ok(after.includes(kept), after);
        assert.ok(!after.includes("development"), after);
        const document = JSON.parse(run(["document", "--json"]).stdout || "{}").document;
        // The provider of this test is plain HTTP, which a gateway on the internet refuses: that is all that is wrong.
        if (document === undefined)
          assert.match(run(["check"]).stderr, /issuers\[0\]\.issuer: must be https/);
        assert.match(after, /"pattern": "mcp\.example\.com"/);
        assert.match(after, /"origin": "https:\/\/tools\.example\.com\/mcp"/);
      } finally {
        writeFileSync(path, text);
        await idp.close();
      }
    });

    test("npm start runs it", { timeout: 2 * MINUTES }, async () => {
      const program = it.start(other, "npm", ["start"]);
      try {
        await program.until("the commands to try", ({ stdout }) => /Ctrl-C/.test(stdout), 60_000);
      } finally {
        await program.stop();
      }
    });
  });

  describe("a package that is not whole", () => {
    const worker = () => join(project, "node_modules", "portcullis", "build", "index_bg.wasm");
    const command = () => join(project, "node_modules", "portcullis", "build-packed", "index_bg.wasm");

    for (const [what, path, args] of [
      ["another Worker is not deployed", worker, ["deploy", "--dry-run"]],
      ["another Worker is not started", worker, ["start", "--doctor"]],
      ["another command line is not run", command, ["check"]],
    ])
      test(what, { timeout: MINUTES }, () => {
        const saved = `${path()}.saved`;
        copyFileSync(path(), saved);
        try {
          appendFileSync(path(), "\0");
          const { status, stdout, stderr } = portcullis(args);
          assert.notEqual(status, 0, stdout);
          assert.match(
            `${stdout}${stderr}`,
            /is not what was built: the SHA-256 of build[\w/-]*\.wasm differs/,
          );
        } finally {
          renameSync(saved, path());
        }
      });

    test("another way to write the path of the Worker changes nothing", { timeout: MINUTES }, () => {
      const saved = `${worker()}.saved`;
      copyFileSync(worker(), saved);
      appendFileSync(worker(), "\0");
      try {
        for (const main of [
          "node_modules/portcullis/./build/index.js",
          "node_modules//portcullis//build//index.js",
          "node_modules/portcullis/build-full/../build/index.js",
          join(project, "node_modules", "portcullis", "build", "index.js"),
        ])
          withText(
            "wrangler.toml",
            (text) => text.replace("node_modules/portcullis/build/index.js", main),
            () => {
              const { status, stderr } = portcullis(["deploy", "--dry-run"]);
              assert.equal(status, 2, main);
              assert.match(stderr, /is not what was built/);
            },
          );
      } finally {
        renameSync(saved, worker());
      }
    });

    test("a list of hashes that is none", () => {
      const list = join(project, "node_modules", "portcullis", "manifest.json");
      const text = readFileSync(list, "utf8");
      try {
        for (const wrong of ["{}", '{"files":null}', "[]", "{"]) {
          writeFileSync(list, wrong);
          for (const args of [["check"], ["deploy", "--dry-run"]]) {
            const { status, stderr } = portcullis(args);
            assert.equal(status, 2, `${wrong} ${stderr}`);
            assert.match(stderr, /^portcullis: .*(cannot be checked|is not in manifest\.json)/);
          }
        }
      } finally {
        writeFileSync(list, text);
      }
    });

    test("a Node that is too old, where npm did not install another one", (context) => {
      const { stdout: version } = it.run(installed, "sh", [
        "-c",
        `${join(it.folder, "bin", "node")} --version`,
      ]);
      if (Number(version.match(/^v(\d+)/)[1]) >= 24) return context.skip("this Node is new enough");
      const alone = join(it.folder, "alone", "node_modules", "portcullis");
      mkdirSync(alone, { recursive: true });
      cpSync(join(content, "scripts"), join(alone, "scripts"), { recursive: true });
      copyFileSync(join(content, "package.json"), join(alone, "package.json"));
      const command = [join(alone, "scripts", "portcullis.mjs"), "check"];
      const { status, stderr } = it.run(it.folder, join(it.folder, "bin", "node"), command);
      assert.equal(status, 2, stderr);
      assert.match(
        stderr,
        /this is Node \d+\.[\d.]+, and the Node 24 of the npm package `node` is not complete/,
      );
    });

    test("a file that is missing is named", () => {
      renameSync(command(), `${command()}.away`);
      try {
        const { status, stderr } = portcullis(["check"]);
        assert.equal(status, 2);
        assert.match(stderr, /build-packed is incomplete .*run npm install again/);
      } finally {
        renameSync(`${command()}.away`, command());
      }
    });
  });

  test("the same source gives the same bytes again", { timeout: 8 * MINUTES }, () => {
    const source = join(ROOT, "src", "lib.rs");
    const { atime, mtime } = statSync(source);
    // Cargo compiles the crate again and links it, and the rest follows.
    utimesSync(source, new Date(), new Date());
    const program = [join(ROOT, "scripts", "build.mjs")];
    const { status, stderr } = spawnSync(join(BIN, "node"), program, { cwd: ROOT, encoding: "utf8" });
    // The other variants are current.
    utimesSync(source, atime, mtime);
    assert.equal(status, 0, stderr);
    const { files } = JSON.parse(readFileSync(join(content, "manifest.json"), "utf8"));
    for (const path of ["build/index.js", "build/index_bg.wasm"])
      assert.equal(hash(join(ROOT, path)), files[path].sha256, path);
  });

  test("a clone makes no project", () => {
    const folder = mkdtempSync(join(tmpdir(), "portcullis-clone-"));
    const { status, stderr } = it.run(folder, "node", [
      join(ROOT, "scripts", "portcullis.mjs"),
      "new",
      "gate",
    ]);
    rmSync(folder, { recursive: true });
    assert.equal(status, 2);
    assert.match(stderr, /this is a clone of the repository: `npm pack` makes the package/);
  });
});
