// `npx portcullis new`: makes a folder with a gateway of one's own: configuration, pinned package, tests of the rules, workflow.
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { CANNOT, readOptions, refuse } from "../lib/options.mjs";
import { fail, printJson, say, UNUSABLE } from "../lib/run.mjs";
import { isPackage, root } from "../lib/tools.mjs";

export const NEW = {
  name: "portcullis new",
  about: "Makes a folder with a gateway of your own.",
  operands: [
    { name: "FOLDER", required: true, about: "The new folder; its name is that of the Worker, too" },
  ],
  options: {
    jsonc: { about: "Writes wrangler.jsonc instead of wrangler.toml" },
    json: { about: "Prints what was written, and the next steps, as JSON" },
  },
  notes: [
    "The gateway runs at once, in front of the identity provider and the MCP server of the package. `npx portcullis init` then puts your own in their place.",
  ],
  statuses: { 0: "the folder was made", 2: CANNOT },
};

const version = () => JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version;

/** Where npm got this package: a URL, or `file:` and a path; undefined where npm did not note it. */
function origin() {
  for (let here = dirname(root); ; here = dirname(here)) {
    const file = join(here, ".package-lock.json");
    if (here.endsWith("node_modules") && existsSync(file)) {
      const { packages = {} } = JSON.parse(readFileSync(file, "utf8"));
      const own = Object.entries(packages).find(([path]) => resolve(dirname(here), path) === resolve(root));
      return own && { resolved: own[1].resolved, from: dirname(here) };
    }
    if (dirname(here) === here) return undefined;
  }
}

/**
 * What package.json of a new project says about this package: its version, where it is from a registry; otherwise the tarball from
 * which it was installed, of which the project gets a copy. `copy` is then what is copied.
 */
function pinned() {
  const { resolved = "", from } = origin() ?? {};
  if (/^https?:/.test(resolved)) return { spec: `^${version()}` };
  const path = resolved.startsWith("file:") && resolve(from, resolved.slice("file:".length));
  if (path && existsSync(path) && statSync(path).isFile()) {
    const name = `vendor/${basename(path)}`;
    return { spec: `file:${name}`, copy: { path, name } };
  }
  // A version number alone would be that of the registry, where another party may have published it.
  return fail(
    `this package is not from a registry, and its tarball is not found${path ? ` (${path})` : ""}: run \`npm install ./portcullis-${version()}.tgz\` in this folder, then this command again`,
    UNUSABLE,
  );
}

const SETTINGS = {
  main: "node_modules/portcullis/build/index.js",
  ...(() => {
    const text = readFileSync(join(root, "wrangler.toml"), "utf8");
    const [, date] = text.match(/^compatibility_date = "(.*)"$/m);
    return { compatibility_date: date };
  })(),
};

const toml = (name) => `name = "${name}"
main = "${SETTINGS.main}"
compatibility_date = "${SETTINGS.compatibility_date}"
# Without it a Worker is not notified when its caller leaves.
compatibility_flags = ["enable_request_signal"]
workers_dev = false
preview_urls = false

[observability]
enabled = true

# The gateway on this machine: \`npm start\` runs it. \`npx portcullis init\` puts your server and your identity provider in place
# of these; node_modules/portcullis/docs/configuration.md describes every key.
[vars.PORTCULLIS]
public_url = "http://localhost:8787"
development = true

[[vars.PORTCULLIS.issuers]]
name = "demo"
issuer = "http://localhost:9100"

[[vars.PORTCULLIS.resources]]
path = "/mcp"
origin = "http://127.0.0.1:9200/mcp"
issuers = ["demo"]
scopes = ["mcp:tools"]
name = "${name}"

# Who may call what: tests/policy.json has examples, which \`npm test\` compares with the rules.
[[vars.PORTCULLIS.resources.rules]]
id = "adding-needs-more"
effect = "step_up"
tools = ["add"]
scopes = ["files:write"]

[[vars.PORTCULLIS.resources.rules]]
id = "the-rest"
effect = "allow"
`;

const jsonc = (name) => `{
  "name": "${name}",
  "main": "${SETTINGS.main}",
  "compatibility_date": "${SETTINGS.compatibility_date}",
  // Without it a Worker is not notified when its caller leaves.
  "compatibility_flags": ["enable_request_signal"],
  "workers_dev": false,
  "preview_urls": false,
  "observability": { "enabled": true },
  "vars": {
    // The gateway on this machine: \`npm start\` runs it. \`npx portcullis init\` puts your server and your identity provider in
    // place of these; node_modules/portcullis/docs/configuration.md describes every key.
    "PORTCULLIS": {
      "public_url": "http://localhost:8787",
      "development": true,
      "issuers": [{ "name": "demo", "issuer": "http://localhost:9100" }],
      "resources": [
        {
          "path": "/mcp",
          "origin": "http://127.0.0.1:9200/mcp",
          "issuers": ["demo"],
          "scopes": ["mcp:tools"],
          "name": "${name}",
          // Who may call what: tests/policy.json has examples, which \`npm test\` compares with the rules.
          "rules": [
            { "id": "adding-needs-more", "effect": "step_up", "tools": ["add"], "scopes": ["files:write"] },
            { "id": "the-rest", "effect": "allow" },
          ],
        },
      ],
    },
  },
}
`;

const POLICY = {
  resource: "/mcp",
  callers: {
    ada: { claims: { sub: "ada", scope: "mcp:tools" } },
    "ada with files": { claims: { sub: "ada", scope: "mcp:tools files:write" } },
    "someone of another application": { claims: { sub: "eve", scope: "other" } },
    "a caller without credentials": { anonymous: true },
  },
  requests: { whoami: { tool: "whoami" }, add: { tool: "add", arguments: { a: 1, b: 2 } } },
  decisions: {
    ada: { whoami: "allow", add: "step_up files:write" },
    "ada with files": { whoami: "allow", add: "allow" },
    "someone of another application": { whoami: "step_up mcp:tools" },
    "a caller without credentials": { whoami: "login" },
  },
};

const WORKFLOW = `# Checks every change, and deploys what is on main.
name: gate
on:
  push:
    branches: [main]
  pull_request:
permissions:
  contents: read
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v5
      - uses: actions/setup-node@v5
        with: { node-version: 24, cache: npm }
      - run: npm ci
      - run: npm test
      - run: npx portcullis deploy --dry-run
  deploy:
    if: github.ref == 'refs/heads/main'
    needs: check
    runs-on: ubuntu-latest
    environment: production
    steps:
      - uses: actions/checkout@v5
      - uses: actions/setup-node@v5
        with: { node-version: 24, cache: npm }
      - run: npm ci
      - run: npm run deploy
        env:
          CLOUDFLARE_API_TOKEN: \${{ secrets.CLOUDFLARE_API_TOKEN }}
          CLOUDFLARE_ACCOUNT_ID: \${{ secrets.CLOUDFLARE_ACCOUNT_ID }}
`;

const readme = (name, file) => `# ${name}

A [Portcullis](node_modules/portcullis/docs/start.md) gateway in front of an MCP server.

- \`npm start\` runs it on this machine, with an identity provider and an MCP server to try it with.
- \`npm test\` checks ${file}, compares the rules with tests/policy.json, and walks the gateway as MCP clients do.
- \`npx portcullis init\` puts your own server and identity provider into ${file}.
- \`npm run deploy\` deploys it to Cloudflare.
- \`npm update portcullis\` takes fixes, \`npm install portcullis@latest\` the newest release (node_modules/portcullis/CHANGELOG.md).
`;

const IGNORED = "node_modules\n.wrangler\n.wrangler-start-*.json\n.dev.vars\n";

/** The files of a project, by path. */
export function projectFiles(name, spec, { jsonc: isJsonc }) {
  const file = isJsonc ? "wrangler.jsonc" : "wrangler.toml";
  const manifest = {
    name,
    private: true,
    type: "module",
    scripts: {
      start: "portcullis start",
      test: "portcullis check && portcullis test && portcullis start --doctor",
      deploy: "portcullis deploy",
    },
    dependencies: { portcullis: spec },
    // Programs that these packages need are put in place when they are installed.
    allowScripts: { esbuild: true, node: true, workerd: true },
  };
  return {
    [file]: isJsonc ? jsonc(name) : toml(name),
    "package.json": `${JSON.stringify(manifest, undefined, 2)}\n`,
    ".gitignore": IGNORED,
    "README.md": readme(name, file),
    "tests/policy.json": `${JSON.stringify(POLICY, undefined, 2)}\n`,
    ".github/workflows/gate.yml": WORKFLOW,
  };
}

export function create(args) {
  const {
    values,
    operands: [given],
  } = readOptions(args, NEW);
  const folder = resolve(given);
  const name = basename(folder);
  if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name))
    refuse(
      NEW,
      `the name of a Worker has 1 to 63 small letters, digits and hyphens, got ${JSON.stringify(name)}`,
    );
  let there;
  try {
    there = lstatSync(folder, { throwIfNoEntry: false });
  } catch (error) {
    fail(`${folder} cannot be made: ${error.message}`, UNUSABLE);
  }
  if (
    there &&
    !(statSync(folder, { throwIfNoEntry: false })?.isDirectory() && readdirSync(folder).length === 0)
  )
    fail(`${folder} is there already, and is not empty: nothing was changed`, UNUSABLE);
  if (!isPackage)
    fail(
      "this is a clone of the repository: `npm pack` makes the package; `npm install ./portcullis-VERSION.tgz` in another folder installs it there",
      UNUSABLE,
    );
  const { spec, copy } = pinned();
  const files = projectFiles(name, spec, values);
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    if (copy) {
      mkdirSync(join(folder, dirname(copy.name)), { recursive: true });
      copyFileSync(copy.path, join(folder, copy.name));
    }
  } catch (error) {
    fail(`${folder} cannot be made: ${error.message}`, UNUSABLE);
  }
  const written = [...Object.keys(files), ...(copy ? [copy.name] : [])];
  const next = [`cd ${relative(process.cwd(), folder)}`, "npm install", "npm start"];
  if (values.json) return printJson({ folder, files: written, next });
  say(`made ${folder}: ${written.join(", ")}`);
  process.stdout.write(`\n  Next:\n${next.map((step, at) => `    ${at + 1}. ${step}`).join("\n")}\n`);
}
