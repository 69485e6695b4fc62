/** Bound tokens of the gateway's own authorization server, with the published clients that know DPoP. */
import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { after, before, describe, test } from "node:test";
import {
  Client,
  DpopSession,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from "@modelcontextprotocol/client";
import * as oauth from "oauth4webapi";
import * as openid from "openid-client";
import { MemoryOAuthProvider } from "../e2e/support/clients/oauth-provider.mjs";
import { hashOf, makeProof, makeProofKey } from "../e2e/support/dpop.mjs";
import { send } from "../e2e/support/http.mjs";
import { CALLBACK, startLogin } from "../e2e/support/login.mjs";
import { makeCertificate } from "../e2e/support/python-examples.mjs";
import { authorizeHeadlessly } from "../e2e/support/token.mjs";

const NONCES = "a secret that makes nonces".padEnd(40, ".");
const claimsOf = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
const insecure = { [oauth.allowInsecureRequests]: true };

/** A call of a tool, as these clients send it. */
const MESSAGE = {
  jsonrpc: "2.0",
  id: 1,
  method: "tools/call",
  params: {
    name: "add",
    arguments: { a: 19, b: 23 },
    _meta: {
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientInfo": { name: "bound", version: "1.0.0" },
      "io.modelcontextprotocol/clientCapabilities": {},
    },
  },
};
const FIELDS = {
  "Content-Type": "application/json",
  Accept: "application/json, text/event-stream",
  "MCP-Protocol-Version": "2026-07-28",
  "Mcp-Method": "tools/call",
  "Mcp-Name": "add",
};

for (const [what, changes] of [
  ["", {}],
  [", with nonces", { dpop: { nonce_secret: "NONCES" } }],
])
  describe(`DPoP-bound tokens${what}`, { timeout: 120_000 }, () => {
    let scene;
    before(async () => {
      scene = await startLogin({ resource: { dpop: "required" }, changes, secrets: { NONCES } });
    });
    after(() => scene?.close());

    test("oauth4webapi gets, uses and refreshes a bound token", async () => {
      const issuer = new URL(scene.issuer);
      const found = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure });
      const as = await oauth.processDiscoveryResponse(issuer, found);
      const { body: client } = await scene.register();
      const key = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
        "sign",
        "verify",
      ]);
      const DPoP = oauth.DPoP(client, key);
      const { target, verifier } = scene.authorization(client.client_id, {
        dpop_jkt: await DPoP.calculateThumbprint(),
      });
      const back = await authorizeHeadlessly(target);
      const parameters = oauth.validateAuthResponse(as, client, back, "the state");
      /** Sends a request again with the nonce that its refusal had. */
      const retried = async (send, read) => {
        try {
          return await read(await send());
        } catch (error) {
          if (!oauth.isDPoPNonceError(error)) throw error;
          return await read(await send());
        }
      };
      const tokens = await retried(
        () =>
          oauth.authorizationCodeGrantRequest(as, client, oauth.None(), parameters, CALLBACK, verifier, {
            DPoP,
            ...insecure,
          }),
        (response) => oauth.processAuthorizationCodeResponse(as, client, response),
      );
      assert.equal(tokens.token_type, "dpop");
      assert.equal(claimsOf(tokens.access_token).cnf.jkt, await DPoP.calculateThumbprint());
      const call = ({ access_token }) =>
        retried(
          () =>
            oauth.protectedResourceRequest(
              access_token,
              "POST",
              new URL(scene.resource),
              new Headers(FIELDS),
              JSON.stringify(MESSAGE),
              { DPoP, ...insecure },
            ),
          async (response) => {
            if (response.status === 401 && response.headers.has("dpop-nonce"))
              throw new oauth.WWWAuthenticateChallengeError("nonce", {
                cause: [{ scheme: "dpop", parameters: { error: "use_dpop_nonce" } }],
                response,
              });
            return response.text();
          },
        );
      assert.match(await call(tokens), /42/);
      const refreshed = await retried(
        () =>
          oauth.refreshTokenGrantRequest(as, client, oauth.None(), tokens.refresh_token, {
            DPoP,
            ...insecure,
          }),
        (response) => oauth.processRefreshTokenResponse(as, client, response),
      );
      assert.match(await call(refreshed), /42/);
    });

    test("openid-client gets, uses and refreshes a bound token", async () => {
      const { body: client } = await scene.register();
      const config = await openid.discovery(
        new URL(scene.issuer),
        client.client_id,
        undefined,
        openid.None(),
        {
          algorithm: "oauth2",
          execute: [openid.allowInsecureRequests],
        },
      );
      const handle = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair("ES256"));
      const { target, verifier } = scene.authorization(client.client_id);
      const back = await authorizeHeadlessly(target);
      const checks = { pkceCodeVerifier: verifier, expectedState: "the state" };
      const tokens = await openid.authorizationCodeGrant(config, back, checks, undefined, { DPoP: handle });
      assert.equal(tokens.token_type, "dpop");
      const call = async ({ access_token }) => {
        const response = await openid.fetchProtectedResource(
          config,
          access_token,
          new URL(scene.resource),
          "POST",
          JSON.stringify(MESSAGE),
          new Headers(FIELDS),
          { DPoP: handle },
        );
        return response.text();
      };
      assert.match(await call(tokens), /42/);
      const next = await openid.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP: handle });
      assert.match(await call(next), /42/);
      const other = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair("ES256"));
      await assert.rejects(
        openid.refreshTokenGrant(config, next.refresh_token, undefined, { DPoP: other }),
        (error) => error.error === "invalid_dpop_proof",
        "another key cannot refresh",
      );
      assert.match(
        await call(await openid.refreshTokenGrant(config, next.refresh_token, undefined, { DPoP: handle })),
        /42/,
        "and ends nothing",
      );
    });

    for (const [era, mode] of [
      ["modern", { pin: "2026-07-28" }],
      ["legacy", "legacy"],
    ])
      test(`the MCP client calls a tool with a bound token, ${era} era`, async () => {
        const session = DpopSession.create();
        const provider = Object.assign(new MemoryOAuthProvider(), { dpop: () => session });
        const connect = async () => {
          const client = new Client({ name: "bound", version: "1.0.0" }, { versionNegotiation: { mode } });
          const transport = new StreamableHTTPClientTransport(new URL(scene.resource), {
            authProvider: provider,
          });
          return { client, transport, error: await client.connect(transport).catch((error) => error) };
        };
        const stranger = await connect();
        assert.ok(stranger.error instanceof UnauthorizedError, `${stranger.error}`);
        await stranger.transport.finishAuth(await provider.authorize());
        await stranger.client.close();
        const { client, error } = await connect();
        assert.equal(error, undefined);
        try {
          const { content } = await client.callTool({ name: "add", arguments: { a: 19, b: 23 } });
          assert.equal(content[0].text, "42");
          assert.equal((await provider.tokens()).token_type, "DPoP");
        } finally {
          await client.close();
        }
      });

    test("a stolen token and a stolen refresh token are useless", async () => {
      const [mine, thief] = [await makeProofKey(), await makeProofKey()];
      const endpoint = `${scene.issuer}/token`;
      let nonce;
      /** A token request with a proof, again with the nonce of the refusal. */
      const ask = async (key, parameters) => {
        for (;;) {
          const answer = await scene.token(parameters, {
            DPoP: await makeProof(key, { url: endpoint, nonce }),
          });
          const next = answer.headers.get("dpop-nonce") ?? undefined;
          if (answer.body.error !== "use_dpop_nonce" || next === nonce) return answer;
          nonce = next;
        }
      };
      const { body: client } = await scene.register();
      const { target, verifier } = scene.authorization(client.client_id);
      const back = await authorizeHeadlessly(target);
      const redeem = {
        grant_type: "authorization_code",
        client_id: client.client_id,
        code: back.searchParams.get("code"),
        code_verifier: verifier,
        redirect_uri: CALLBACK,
      };
      const { body } = await ask(mine, redeem);
      assert.equal(body.token_type, "DPoP", JSON.stringify(body));
      const bearer = await fetch(scene.resource, {
        method: "POST",
        headers: { ...FIELDS, Authorization: `Bearer ${body.access_token}` },
        body: JSON.stringify(MESSAGE),
      });
      assert.equal(bearer.status, 401);
      const stolen = await makeProof(thief, { url: scene.resource, token: body.access_token, nonce });
      const proved = await fetch(scene.resource, {
        method: "POST",
        headers: { ...FIELDS, Authorization: `DPoP ${body.access_token}`, DPoP: stolen },
        body: JSON.stringify(MESSAGE),
      });
      assert.equal(proved.status, 401);
      const refresh = {
        grant_type: "refresh_token",
        client_id: client.client_id,
        refresh_token: body.refresh_token,
      };
      assert.equal((await ask(thief, refresh)).body.error, "invalid_dpop_proof");
      assert.equal((await scene.token(refresh)).body.error, "invalid_dpop_proof");
      assert.equal((await ask(mine, refresh)).status, 200);
      assert.equal(hashOf(body.access_token).length, 43);
    });
  });

/** What Cloudflare says of a connection with this certificate (`request.cf.tlsClientAuth`). */
const connection = (certificate, certVerified) => ({
  tlsClientAuth: {
    certPresented: "1",
    certVerified,
    certRevoked: "0",
    certFingerprintSHA256: certificate.fingerprint256.replaceAll(":", "").toLowerCase(),
    certSubjectDNRFC2253: certificate.subject.split("\n").reverse().join(","),
  },
});

for (const [method, certVerified, metadata] of [
  [
    "tls_client_auth",
    "SUCCESS",
    ({ subject }) => ({ tls_client_auth_subject_dn: subject.split("\n").reverse().join(", ") }),
  ],
  [
    "self_signed_tls_client_auth",
    "FAILED:self signed certificate",
    ({ publicKey, raw }) => ({
      jwks: { keys: [{ ...publicKey.export({ format: "jwk" }), x5c: [raw.toString("base64")] }] },
    }),
  ],
])
  describe(`clients that authenticate with ${method}`, { timeout: 120_000 }, () => {
    let scene;
    let certificate;
    const start = (cf) =>
      startLogin({
        cf,
        server: { client_certificates: true },
        resource: { certificate_bound: "required" },
      });
    before(async () => {
      certificate = new X509Certificate((await makeCertificate()).certificate);
      scene = await start(connection(certificate, certVerified));
    });
    after(() => scene?.close());
    const register = (more = metadata(certificate)) =>
      scene.register({ token_endpoint_auth_method: method, ...more });

    test("oauth4webapi gets, uses and refreshes a token that is bound to the certificate", async () => {
      const issuer = new URL(scene.issuer);
      const found = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure });
      const as = await oauth.processDiscoveryResponse(issuer, found);
      assert.ok(as.token_endpoint_auth_methods_supported.includes(method));
      assert.equal(as.tls_client_certificate_bound_access_tokens, true);
      const { status, body: client } = await register();
      assert.equal(status, 201, JSON.stringify(client));
      const { target, verifier } = scene.authorization(client.client_id);
      const parameters = oauth.validateAuthResponse(
        as,
        client,
        await authorizeHeadlessly(target),
        "the state",
      );
      const code = await oauth.authorizationCodeGrantRequest(
        as,
        client,
        oauth.TlsClientAuth(),
        parameters,
        CALLBACK,
        verifier,
        insecure,
      );
      const tokens = await oauth.processAuthorizationCodeResponse(as, client, code);
      const thumbprint = createHash("sha256").update(certificate.raw).digest("base64url");
      assert.equal(claimsOf(tokens.access_token).cnf["x5t#S256"], thumbprint);
      const refreshed = await oauth.processRefreshTokenResponse(
        as,
        client,
        await oauth.refreshTokenGrantRequest(
          as,
          client,
          oauth.TlsClientAuth(),
          tokens.refresh_token,
          insecure,
        ),
      );
      const call = (token) =>
        fetch(scene.resource, {
          method: "POST",
          headers: { ...FIELDS, Authorization: `Bearer ${token}` },
          body: JSON.stringify(MESSAGE),
        });
      const answer = await call(refreshed.access_token);
      assert.equal(answer.status, 200);
      assert.match(await answer.text(), /42/);
    });

    test("openid-client gets a token with it", async () => {
      const { body: client } = await register();
      const config = await openid.discovery(
        new URL(scene.issuer),
        client.client_id,
        undefined,
        openid.TlsClientAuth(),
        { algorithm: "oauth2", execute: [openid.allowInsecureRequests] },
      );
      const { target, verifier } = scene.authorization(client.client_id);
      const back = await authorizeHeadlessly(target);
      const tokens = await openid.authorizationCodeGrant(config, back, {
        pkceCodeVerifier: verifier,
        expectedState: "the state",
      });
      assert.ok(claimsOf(tokens.access_token).cnf["x5t#S256"]);
    });

    test("another certificate, or none, is refused, and a stolen token is useless without it", async () => {
      const { body: mine } = await register();
      const { target, verifier } = scene.authorization(mine.client_id);
      const back = await authorizeHeadlessly(target);
      const redeem = {
        grant_type: "authorization_code",
        client_id: mine.client_id,
        code: back.searchParams.get("code"),
        code_verifier: verifier,
        redirect_uri: CALLBACK,
      };
      // The direct port has nothing of what the platform says.
      const bare = await fetch(`http://127.0.0.1:${scene.gateway.directPort}/token`, {
        method: "POST",
        headers: { host: new URL(scene.issuer).host },
        body: new URLSearchParams(redeem),
      });
      assert.notEqual(bare.status, 200);
      const tokens = await scene.token(redeem);
      assert.equal(tokens.status, 200, "a refused client does not use up the code");
      const stolen = await send(scene.gateway, {
        method: "POST",
        fields: { ...FIELDS, Authorization: `Bearer ${tokens.body.access_token}` },
        body: JSON.stringify(MESSAGE),
      });
      assert.equal(stolen.status, 401);
      const other = new X509Certificate((await makeCertificate()).certificate);
      const wrong =
        method === "tls_client_auth" ? { tls_client_auth_subject_dn: "CN=other" } : metadata(other);
      const { body: theirs } = await register(wrong);
      const answer = await scene.token({
        grant_type: "refresh_token",
        client_id: theirs.client_id,
        refresh_token: "x",
      });
      assert.deepEqual([answer.status, answer.body.error], [401, "invalid_client"]);
    });
  });
