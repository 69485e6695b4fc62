/**
 * Published MCP clients log in through the gateway as authorization server, before an identity provider that registers
 * nobody and knows no resources: from the first 401 to the result of a tool, by registration (RFC 7591) and, where the
 * client can, by client ID metadata document.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Response } from "miniflare";
import { CLIENTS } from "./support/clients/all.mjs";
import { startLogin } from "./support/login.mjs";

const METADATA_URL = "https://client.example/oauth/metadata.json";
const TOOL = { name: "add", arguments: { a: 19, b: 23 } };

const METADATA = {
  client_id: METADATA_URL,
  client_name: "Portcullis test client",
  redirect_uris: ["http://127.0.0.1:8976/callback"],
  token_endpoint_auth_method: "none",
  grant_types: ["authorization_code", "refresh_token"],
};

/** Answers for the host of the metadata; everything else goes where it was meant to. */
async function outbound(request) {
  if (request.url === METADATA_URL) return Response.json(METADATA);
  const { url, method, headers } = request;
  const body = method === "GET" ? undefined : await request.text();
  const answer = await fetch(url, { method, headers: Object.fromEntries(headers), body, redirect: "manual" });
  return new Response(answer.body, { status: answer.status, headers: Object.fromEntries(answer.headers) });
}

describe("clients log in through the gateway", { timeout: 240_000 }, () => {
  let scene;

  before(
    async () => {
      scene = await startLogin({ outbound });
    },
    { timeout: 60_000 },
  );
  after(() => scene?.close(), { timeout: 20_000 });

  const run = async (client, options) => {
    const folder = await mkdtemp(join(tmpdir(), "portcullis-e2e-"));
    try {
      const outcome = await client.run({ url: scene.resource, tool: TOOL, folder, ...options });
      const text = outcome.result.content.map((block) => block.text).join("\n");
      assert.match(text, /^\D*42\D*$/);
      assert.notEqual(outcome.result.isError, true);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };
  const registered = () =>
    scene.gateway.events().filter(({ reason }) => reason === "client_registered").length;

  for (const [name, client] of Object.entries(CLIENTS)) {
    test(`${name}, registered`, { timeout: 60_000 }, async () => {
      const before = registered();
      await run(client);
      assert.ok(registered() > before, "the client has registered");
    });
  }

  for (const name of Object.keys(CLIENTS).filter((name) => /^(client|sdk) /.test(name))) {
    test(`${name}, by its metadata document`, { timeout: 60_000 }, async () => {
      const before = registered();
      await run(CLIENTS[name], { clientMetadataUrl: METADATA_URL });
      assert.equal(registered(), before, "the client has not registered");
      const { client } = scene.gateway.events().findLast(({ reason }) => reason === "forwarded");
      assert.equal(client, METADATA_URL);
    });
  }

  test("the identity provider was never shown a resource, and its tokens reach nobody", async () => {
    assert.ok(scene.idp.requests.length > 0);
    assert.ok(scene.idp.requests.every(({ url }) => !url.searchParams.has("resource")));
  });
});
