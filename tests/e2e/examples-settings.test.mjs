/** Files of settings for clients, and the guides that show them. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { read } from "./support/examples.mjs";
import { startFleet } from "./support/fleet.mjs";
import { ROOT } from "./support/processes.mjs";

describe("files of settings", () => {
  const URL_OF_ALL = "https://mcp.example.com/mcp";
  const NAME = "mcp-example-com-mcp";
  const settings = (path) => JSON.parse(read(`clients/${path}`));
  let page;
  before(
    async () => {
      const document = {
        public_url: "https://mcp.example.com",
        issuers: [{ name: "acme", issuer: "https://login.acme.example" }],
        resources: [{ path: "/mcp", origin: "https://tools.internal.example/mcp", issuers: ["acme"] }],
      };
      const fleet = await startFleet({
        documents: [document],
        secrets: {},
        outbound: () => assert.fail("nothing is asked for"),
      });
      try {
        const answer = await fleet.gateways[0].fetch(`${document.public_url}/`, {
          headers: { accept: "text/html" },
        });
        page = (await answer.text()).replaceAll("&quot;", '"').replaceAll("&amp;", "&");
      } finally {
        await fleet.close();
      }
    },
    { timeout: 60_000 },
  );

  test("say what the gate's own page says", () => {
    const general = JSON.parse(page.match(/<code>(\{[^<]*"mcpServers"[^<]*)<\/code>/)[1]);
    assert.deepEqual(settings("oauth/.mcp.json"), general);
    const code = JSON.parse(decodeURIComponent(page.match(/vscode:mcp\/install\?([^"]+)"/)[1]));
    assert.deepEqual(settings("oauth/.vscode/mcp.json").servers, {
      [code.name]: { type: code.type, url: code.url },
    });
    const [, name, config] = page.match(/mcp\/install\?name=([^&]+)&config=([^"]+)"/);
    const cursor = JSON.parse(Buffer.from(decodeURIComponent(config), "base64").toString());
    assert.deepEqual(settings("oauth/.cursor/mcp.json").mcpServers, { [name]: cursor });
    const { command, args } = settings("oauth/claude_desktop_config.json").mcpServers[NAME];
    assert.ok(page.includes(`<code>${[command, ...args].join(" ")}</code>`));
    const guide = readFileSync(join(ROOT, "docs/clients.md"), "utf8");
    const add = page.match(/<code>(claude mcp add[^<]*)<\/code>/)[1];
    assert.ok(guide.includes(`${add}\n`), `docs/clients.md has: ${add}`);
  });

  test("differ in the credential alone, and hold none", () => {
    for (const path of [".mcp.json", ".vscode/mcp.json", ".cursor/mcp.json"]) {
      const { servers, mcpServers = servers } = settings(`headers/${path}`);
      const { headers, ...rest } = mcpServers[NAME];
      const oauth = settings(`oauth/${path}`);
      assert.deepEqual(rest, (oauth.servers ?? oauth.mcpServers)[NAME]);
      assert.deepEqual(Object.keys(headers), ["Authorization"]);
      assert.match(headers.Authorization, /^Bearer \$\{(env:|input:)?[\w-]+\}$/);
      assert.equal(rest.url, URL_OF_ALL);
    }
    const { inputs, servers } = settings("headers/.vscode/mcp.json");
    assert.deepEqual(
      inputs.map(({ type, password }) => ({ type, password })),
      [{ type: "promptString", password: true }],
    );
    assert.ok(servers[NAME].headers.Authorization.includes(`\${input:${inputs[0].id}}`));
    const desktop = (kind) => settings(`${kind}/claude_desktop_config.json`).mcpServers[NAME].args;
    assert.deepEqual(desktop("headers").slice(0, 2), desktop("oauth"));
  });
});

test("the guide shows the files as they are", () => {
  const guide = readFileSync(join(ROOT, "docs/clients.md"), "utf8");
  const shown = [...guide.matchAll(/```json\n([^`]*)```/g)].map(([, text]) => text);
  const names = [".mcp.json", "claude_desktop_config.json", ".vscode/mcp.json", ".cursor/mcp.json"];
  const files = names.flatMap((name) => [read(`clients/oauth/${name}`), read(`clients/headers/${name}`)]);
  assert.deepEqual(shown, files);
});

test("the guides name the versions that are tested", () => {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const installed = { ...dependencies, ...devDependencies };
  const guides = ["docs/clients.md", "docs/origins.md"].map((path) => readFileSync(join(ROOT, path), "utf8"));
  const named = guides.flatMap((text) => [...text.matchAll(/((?:@[\w-]+\/)?[\w-]+)@(\d[\w.-]*)/g)]);
  assert.ok(named.length >= 4, `${named.length}`);
  for (const [, name, version] of named) assert.equal(version, installed[name], name);
});
