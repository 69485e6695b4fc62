/** Every configuration in the guides is one that the gateway takes as it stands; commands and links are there. */
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parse } from "smol-toml";
import { startFleet } from "./support/fleet.mjs";

const root = new URL("../../", import.meta.url);
const KEY = JSON.stringify(
  generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" }),
);
const SECRETS = {
  INTROSPECTION_SECRET: "secret",
  ISSUES_KEY: "secret",
  DPOP_NONCES: "0123456789abcdef0123456789abcdef",
  SESSION_SECRET: "0123456789abcdef0123456789abcdef",
  SIGNING_KEY: KEY,
  ASSERTION_KEY: KEY,
  SEALING_SECRET: "0123456789abcdef0123456789abcdef",
  METRICS_SECRET: "0123456789abcdef0123456789abcdef",
  LOGIN_SECRET: "what the provider gave",
  STREAM_TOKEN: "stream-token",
  PARTNER_LOGIN_SECRET: "what the partner gave",
  SIGNALS_SECRET: "0123456789abcdef0123456789abcdef",
  MACHINE_SECRET: "0123456789abcdef0123456789abcdef",
  HOOK_SECRET: "0123456789abcdef0123456789abcdef",
  CHAT_SECRET: "0123456789abcdef0123456789abcdef",
  REPORT_SECRET: "0123456789abcdef0123456789abcdef",
  TOOLS_TOKEN: "secret",
  TOOLS_BASIC: "dXNlcjpwYXNzd29yZA==",
  GITHUB_TOKEN: "secret",
  LINEAR_KEY: "secret",
  ATLASSIAN_CLIENT_SECRET: "secret",
  CLIENT_SECRET: "secret",
  SERVER_CLIENT_SECRET: "secret",
  ENTRA_CLIENT_SECRET: "secret",
  GITHUB_CLIENT_SECRET: "secret",
  GOOGLE_CLIENT_SECRET: "secret",
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
  const { PORTCULLIS } = parse(readFileSync(new URL("wrangler.toml", root), "utf8")).vars;
  const { issuers: _, ...without } = PORTCULLIS;
  const { resources = {}, ...rest } = part;
  const [resource] = [resources].flat();
  const server = {
    key_secrets: ["SIGNING_KEY"],
    secrets: ["SEALING_SECRET"],
    binding: "AUTHORIZATION",
    login: {
      issuer: "https://login.acme.example",
      client_id: "portcullis",
      secret: "LOGIN_SECRET",
      anyone: true,
    },
  };
  // A part of the authorization server's table goes into such a table; users who connect accounts log in there, too.
  const isPart = rest.authorization_server && rest.authorization_server.login === undefined;
  const own = (isPart || resource?.credential?.per_user) && {
    authorization_server: { ...server, ...rest.authorization_server },
  };
  // Users who approve calls, too.
  const isOwn =
    own || (rest.authorization_server && resource?.issuers?.every((name) => name === "portcullis"));
  const demo = isOwn ? without : PORTCULLIS;
  const issuers = own && { issuers: ["portcullis"] };
  // Commands put the definitions of portcullis.lock.json into the document.
  const locked = resource?.lock && { locked: {} };
  return {
    ...demo,
    ...rest,
    ...own,
    resources: [{ ...demo.resources[0], ...issuers, ...resource, ...locked }],
  };
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

test("and the command line takes each of them too", { timeout: 300_000 }, () => {
  const program = fileURLToPath(new URL("scripts/portcullis.mjs", root));
  for (const { name, document } of here) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, "check", "--config", "-"], {
      input: JSON.stringify(document),
      encoding: "utf8",
    });
    // 1: there is something to review.
    assert.ok(status === 0 || status === 1, `${name}: ${stdout}${stderr}`);
  }
});

test("where the document is elsewhere, its binding stands beside it", () => {
  assert.ok(elsewhere.length > 0);
  for (const { name, document, namespaces } of elsewhere)
    assert.ok(namespaces.includes(document.stored.kv), name);
});

const texts = guides.map((guide) => [guide, readFileSync(new URL(guide, root), "utf8")]);

test("every link within the repository leads somewhere, headings included", () => {
  // As the places where Markdown is read make them.
  const anchors = (text) => {
    const headings = [...text.replace(/```[\s\S]*?```/g, "").matchAll(/^#+ (.*)$/gm)].map(
      ([, heading]) => heading,
    );
    return headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
        .replace(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    );
  };
  let links = 0;
  for (const [guide, text] of texts) {
    for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      links += 1;
      const url = new URL(target || guide, new URL(guide, root));
      const file = target.startsWith("#") ? new URL(guide, root) : new URL(url.pathname, "file:");
      assert.ok(existsSync(file), `${guide}: ${target}`);
      if (url.hash && file.pathname.endsWith(".md"))
        assert.ok(anchors(readFileSync(file, "utf8")).includes(url.hash.slice(1)), `${guide}: ${target}`);
    }
  }
  assert.ok(links > 80, `${links}`);
});

test("every command in the guides is one, with options that it has", { timeout: 300_000 }, async () => {
  const { scripts } = JSON.parse(readFileSync(new URL("package.json", root), "utf8"));
  const helps = new Map();
  const helpOf = async (name) => {
    if (!helps.has(name)) {
      const { status, stdout } = await new Promise((resolve) => {
        const program = [fileURLToPath(new URL("scripts/portcullis.mjs", root)), name, "--help"];
        execFile(process.execPath, program, (error, stdout) => resolve({ status: error?.code ?? 0, stdout }));
      });
      assert.equal(status, 0, `npx portcullis ${name} is no command`);
      helps.set(name, stdout);
    }
    return helps.get(name);
  };
  let commands = 0;
  for (const [guide, text] of texts) {
    for (const [, name] of text.matchAll(/npm run (?:--silent )?([a-z][\w:]*)/g))
      assert.ok(name in scripts, `${guide}: npm run ${name}`);
    // In blocks a command may go on in the next line.
    for (const [, name, rest] of text
      .replaceAll("\\\n", " ")
      .matchAll(/npx portcullis ([a-z]+)([^\n`|#]*)/g)) {
      if (["completions", "man", "document"].includes(name)) continue;
      commands += 1;
      const help = await helpOf(name);
      for (const [option] of rest.matchAll(/(?<=\s)--[a-z-]+/g))
        assert.ok(help.includes(option), `${guide}: npx portcullis ${name} has no ${option}`);
    }
  }
  assert.ok(commands > 25, `${commands}`);
});
