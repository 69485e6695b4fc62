/** MCP servers of other kinds that check their tokens themselves: PyPI `fastmcp`, and another Portcullis with its authorization server. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { decodeJwt } from "jose";
import { homeWithoutBrowser } from "../e2e/support/clients/no-browser.mjs";
import { startLogin } from "../e2e/support/login.mjs";
import { BIN, freePort, startProcess } from "../e2e/support/processes.mjs";
import { noPython, startFastMcp } from "../e2e/support/python.mjs";
import { remember } from "../e2e/support/secrets.mjs";
import { Browser, linkIn, startConnecting } from "./support/connecting.mjs";
import { startCredentialScene } from "./support/scene.mjs";

const FASTMCP = `
import sys
from fastmcp import FastMCP
from fastmcp.server.auth.providers.jwt import JWTVerifier
from fastmcp.server.dependencies import get_access_token

port, issuer, jwks = int(sys.argv[1]), sys.argv[2], sys.argv[3]
audience = f"http://127.0.0.1:{port}/mcp"
server = FastMCP("python-tools", auth=JWTVerifier(jwks_uri=jwks, issuer=issuer, audience=audience))

@server.tool
def whoami() -> str:
    """Who is calling."""
    return get_access_token().claims["sub"]

server.run(transport="http", host="127.0.0.1", port=port)
`;

/** Starts a `fastmcp` server that accepts the tokens of this issuer for its own URL. */
const startChecking = ({ issuer, jwksUri }, port) => startFastMcp(FASTMCP, { port, args: [issuer, jwksUri] });

for (const [kind, credential, sub] of [
  [
    "client credentials",
    (scene, url) => ({ client_credentials: { client: scene.client("basic"), resource: url } }),
    "gate:basic",
  ],
  [
    "a token exchange",
    (scene, url) => ({ token_exchange: { client: scene.client("basic"), resource: url } }),
    "ada",
  ],
]) {
  test(`PyPI fastmcp behind ${kind}`, { skip: noPython, timeout: 360_000 }, async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}/mcp`;
    const scene = await startCredentialScene({
      credential: (scene) => credential(scene, url),
      resource: { origin: url },
    });
    const server = await startChecking(scene.service, port);
    try {
      for (const era of ["modern", "legacy"]) {
        const client = await scene.connect(await scene.token("ada"), era === "modern" ? "modern" : "legacy");
        const { content } = await client.callTool({ name: "whoami", arguments: {} });
        assert.equal(content[0].text, sub);
        await client.close();
      }
      assert.equal(
        (await fetch(url, { method: "POST", body: "{}", headers: { "content-type": "application/json" } }))
          .status,
        401,
        "the server itself lets nothing in without a token",
      );
    } finally {
      await scene.close();
      await server.close();
    }
  });
}

describe("another Portcullis is the third party", { timeout: 120_000 }, () => {
  test("client credentials from its authorization server", async () => {
    const secret = remember(randomBytes(32).toString("base64url"));
    const third = await startLogin({
      secrets: { MACHINE: secret },
      server: {
        clients: [
          {
            client_id: "machine",
            token_endpoint_auth_method: "client_secret_basic",
            grant_types: ["client_credentials"],
            scopes: ["mcp:tools"],
            secret: "MACHINE",
          },
        ],
      },
    });
    const scene = await startCredentialScene({
      moreSecrets: { MACHINE: secret },
      credential: () => ({
        client_credentials: {
          client: { token_endpoint: `${third.issuer}/token`, client_id: "machine", secret: "MACHINE" },
          scopes: ["mcp:tools"],
          resource: third.resource,
        },
      }),
      resource: { origin: third.resource },
    });
    try {
      const client = await scene.connect(await scene.token("ada"));
      const { content } = await client.callTool({ name: "add", arguments: { a: 19, b: 23 } });
      assert.match(content[0].text, /42/);
      await client.close();
    } finally {
      await scene.close();
      await third.close();
    }
  });

  test("each user's own account, connected through its consent page with a client ID metadata document", async () => {
    const third = await startLogin();
    const scene = await startConnecting({ resource: { origin: third.resource } });
    try {
      const token = await scene.tokenOf("ada");
      third.idp.user = { sub: "ada-over-there", email: "ada@elsewhere.example", email_verified: true };
      const link = linkIn((await scene.call(token)).text);
      const browser = new Browser();
      const consent = await browser.send(await browser.open(link), "connect");
      assert.match(consent.page, /Allow Portcullis at /);
      assert.ok(consent.page.includes(`${scene.issuer}`.replace("http://", "")), "it shows who asks");
      const done = await browser.send(consent, "allow");
      assert.match(done.page, /<h1>Connected<\/h1>/, done.page);
      const client = await scene.connect(token);
      const { content } = await client.callTool({ name: "add", arguments: { a: 19, b: 23 } });
      assert.match(content[0].text, /42/);
      await client.close();
      const grants = await third.admin({ action: "show", subject: "ada-over-there" });
      const [grant] = Object.values(grants.body.grants);
      assert.equal(grant.client_id, `${scene.issuer}/client${new URL(scene.resource).pathname}`);
    } finally {
      await scene.close();
      await third.close();
    }
  });
});

for (const era of ["legacy", "modern"])
  test(`the Inspector shows the link and calls once the account is connected, ${era}`, {
    timeout: 120_000,
  }, async () => {
    const scene = await startConnecting();
    const folder = await mkdtemp(join(tmpdir(), "portcullis-inspector-"));
    try {
      const token = await scene.tokenOf("ada");
      const call = async () => {
        const options = [
          "--cli",
          scene.resource,
          "--transport",
          "http",
          "--protocol-era",
          era,
          "--format",
          "json",
        ];
        const header = ["--header", `Authorization: Bearer ${token}`];
        const what = ["--method", "tools/call", "--tool-name", "whoami"];
        const program = startProcess(join(BIN, "mcp-inspector"), [...options, ...header, ...what], {
          env: { ...(await homeWithoutBrowser(folder)), MCP_INSPECTOR_SECRET_STORE: "file" },
        });
        const { code } = await program.exited;
        return { code, output: `${program.output.stdout}${program.output.stderr}` };
      };
      const before = await call();
      const link = linkIn(before.output);
      assert.ok(link, before.output);
      await new Browser().connect(link);
      const { code, output } = await call();
      assert.equal(code, 0, output);
      assert.match(output, /\\"sub\\":\\"ada\\"/);
    } finally {
      await scene.close();
      await rm(folder, { recursive: true, force: true });
    }
  });

test("connections outlive the Worker", { timeout: 120_000 }, async () => {
  const persist = await mkdtemp(join(tmpdir(), "portcullis-connections-"));
  const ports = { gateway: await freePort(), provider: await freePort() };
  let scene = await startConnecting({ persist, ports });
  const { third, tools, secrets } = scene;
  try {
    const token = await scene.tokenOf("ada");
    const link = linkIn((await scene.call(token)).text);
    await new Browser().connect(link);
    assert.equal((await scene.call(token)).body.result.isError, undefined);
    await Promise.all([scene.gateway.close(), scene.idp.close()]);
    const { IDP_SECRET: _, ...kept } = secrets;
    scene = await startConnecting({ persist, ports, secrets: kept, startThird: () => third, tools });
    const again = await scene.tokenOf("ada");
    const { body } = await scene.call(again);
    assert.equal(body.result?.isError, undefined, JSON.stringify(body));
    const sent = tools.seen.at(-1).fields.authorization.slice(7);
    assert.equal(decodeJwt(sent).iss, third.issuer);
  } finally {
    await scene.close();
    await rm(persist, { recursive: true, force: true });
  }
});
