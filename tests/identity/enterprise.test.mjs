/** Enterprise-Managed Authorization and workload identity, with a real provider, a real client, and several isolates. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { after, before, describe, test } from "node:test";
import {
  Client,
  CrossAppAccessProvider,
  discoverAndRequestJwtAuthGrant,
  exchangeJwtAuthGrant,
  StreamableHTTPClientTransport,
} from "@modelcontextprotocol/client";
import { SignJWT } from "jose";
import { startLogin } from "../e2e/support/login.mjs";
import { AGENT, JWT_BEARER, startCompany, use } from "./support/company.mjs";

const ADA = { sub: "ada", email: "ada@acme.example", email_verified: true, groups: ["tools"] };
const claimsOf = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url"));

describe("enterprise-managed authorization", { timeout: 180_000 }, () => {
  let scene;
  before(async () => {
    scene = await startCompany({ id_jag: { anyone: false, allowed_groups: ["tools"] }, isolates: 3 });
  });
  after(() => scene?.close());

  /** What `CrossAppAccessProvider` asks the company for. */
  const provider = (changes = {}) =>
    new CrossAppAccessProvider({
      clientId: AGENT.id,
      clientSecret: AGENT.secret,
      expectedIssuer: scene.issuer,
      assertion: async (asked) => {
        const { jwtAuthGrant } = await discoverAndRequestJwtAuthGrant({
          idpUrl: scene.idp.issuer,
          audience: asked.authorizationServerUrl,
          resource: asked.resourceUrl,
          idToken: await scene.idToken(),
          clientId: AGENT.id,
          clientSecret: AGENT.secret,
          scope: asked.scope,
          fetchFn: asked.fetchFn,
        });
        return jwtAuthGrant;
      },
      ...changes,
    });

  const connected = async (authProvider, mode) => {
    const client = new Client(
      { name: "agent", version: "1.0.0" },
      { capabilities: {}, versionNegotiation: { mode } },
    );
    await client.connect(new StreamableHTTPClientTransport(new URL(scene.resource), { authProvider }));
    return client;
  };

  for (const [name, mode] of [
    ["modern", { pin: "2026-07-28" }],
    ["legacy", "legacy"],
  ])
    test(`CrossAppAccessProvider reaches the tools without a consent page, ${name} era`, async () => {
      scene.user = ADA;
      const authProvider = provider();
      const client = await connected(authProvider, mode);
      try {
        const { content } = await client.callTool({ name: "add", arguments: { a: 19, b: 23 } });
        assert.equal(content[0].text, "42");
        const { access_token, refresh_token } = authProvider.tokens();
        assert.equal(refresh_token, undefined);
        const claims = claimsOf(access_token);
        assert.deepEqual([claims.sub, claims.client_id, claims.groups], ["ada", AGENT.id, ["tools"]]);
      } finally {
        await client.close();
      }
    });

  test("a user whom the company's provider does not name gets nothing", async () => {
    scene.user = { ...ADA, groups: ["guests"] };
    await assert.rejects(connected(provider(), "legacy"), /may not use this server|invalid_grant/);
    scene.user = undefined;
    await assert.rejects(connected(provider(), "legacy"));
    scene.user = ADA;
  });

  test("the metadata names the grant and its profile", async () => {
    const metadata = await (await fetch(`${scene.issuer}/.well-known/oauth-authorization-server`)).json();
    assert.ok(metadata.grant_types_supported.includes(JWT_BEARER));
    assert.deepEqual(metadata.authorization_grant_profiles_supported, [
      "urn:ietf:params:oauth:grant-profile:id-jag",
    ]);
  });

  test("exchangeJwtAuthGrant of the client gets a token", async () => {
    const tokens = await exchangeJwtAuthGrant({
      tokenEndpoint: `${scene.issuer}/token`,
      jwtAuthGrant: await scene.jag({ groups: ["tools"] }),
      clientId: AGENT.id,
      clientSecret: AGENT.secret,
      authMethod: "client_secret_basic",
    });
    assert.match((await scene.use(tokens.access_token)).text, /8888888/);
  });

  test("one ID-JAG in three isolates at once is good once", async () => {
    for (let round = 0; round < 5; round += 1) {
      const assertion = await scene.jag({ groups: ["tools"] });
      const ports = scene.gateway.directPorts.flatMap((port) => [port, port, port, port]);
      const answers = await Promise.all(ports.map((port) => scene.exchange(assertion, {}, port)));
      const statuses = answers.map(({ status }) => status).sort();
      assert.deepEqual(statuses, [200, ...Array.from({ length: ports.length - 1 }, () => 400)]);
      for (const { body } of answers.filter(({ status }) => status === 400))
        assert.deepEqual(body, {
          error: "invalid_grant",
          error_description: "the assertion was used before",
        });
    }
  });

  for (const [what, changes, header, error] of [
    ["another audience", { aud: "https://other.example" }, {}, "invalid_grant"],
    ["another client", { client_id: "other" }, {}, "invalid_grant"],
    ["another resource", { resource: "https://other.example/mcp" }, {}, "invalid_grant"],
    ["another issuer", { iss: "https://idp.evil.example" }, {}, "invalid_grant"],
    ["no resource", { resource: undefined }, {}, "invalid_grant"],
    ["the type of an access token", {}, { typ: "at+jwt" }, "invalid_grant"],
    ["an expiry in the past", { exp: 1 }, {}, "invalid_grant"],
    ["no id", { jti: undefined }, {}, "invalid_grant"],
    ["a key that it is bound to", { cnf: { jkt: "x" } }, {}, "invalid_dpop_proof"],
    ["scopes that do not exist", { scope: "nothing" }, {}, "invalid_scope"],
  ])
    test(`an ID-JAG with ${what} is refused`, async () => {
      const answer = await scene.exchange(await scene.jag({ groups: ["tools"], ...changes }, header));
      assert.deepEqual([answer.status, answer.body.error], [400, error], JSON.stringify(answer.body));
    });

  test("an ID-JAG with an unknown critical member is refused", async () => {
    const assertion = await scene.jag({ groups: ["tools"] });
    const [header, ...rest] = assertion.split(".");
    const critical = { ...JSON.parse(Buffer.from(header, "base64url")), crit: ["x"], x: 1 };
    const changed = [Buffer.from(JSON.stringify(critical)).toString("base64url"), ...rest].join(".");
    const answer = await scene.exchange(changed);
    assert.deepEqual([answer.status, answer.body.error], [400, "invalid_grant"]);
  });

  test("an ID-JAG that another key signed is refused", async () => {
    const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    const good = await scene.jag({ groups: ["tools"] });
    const forged = await new SignJWT(claimsOf(good))
      .setProtectedHeader({ alg: "ES256", kid: scene.idp.key.kid, typ: "oauth-id-jag+jwt" })
      .sign(stranger);
    const answer = await scene.exchange(forged);
    assert.equal(answer.body.error_description, "the assertion has a wrong signature");
    assert.equal((await scene.exchange(good)).status, 200);
  });

  test("an administrator ends the access of a user in every isolate", async () => {
    const { body } = await scene.exchange(await scene.jag({ groups: ["tools"] }));
    const ports = scene.gateway.directPorts;
    for (const port of ports) assert.equal((await scene.use(body.access_token, port)).status, 200);
    assert.equal((await scene.admin({ action: "delete", subject: "ada" })).status, 200);
    const begun = Date.now();
    for (const port of ports)
      while ((await scene.use(body.access_token, port)).status !== 401) {
        assert.ok(Date.now() < begun + 7_000, "it takes longer than revocation_seconds");
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
  });
});

describe("workload identity", { timeout: 180_000 }, () => {
  const CLUSTER = "https://kubernetes.default.svc.cluster.local";
  const ACTIONS = "https://token.actions.githubusercontent.com";
  const TRUST_DOMAIN = "spiffe://acme.example";
  const platform = (alg = "ES256") => {
    const { privateKey, publicKey } =
      alg === "RS256"
        ? generateKeyPairSync("rsa", { modulusLength: 2048 })
        : generateKeyPairSync("ec", { namedCurve: "P-256" });
    const jwk = { ...publicKey.export({ format: "jwk" }), kid: "platform", alg, use: "sig" };
    return { privateKey, alg, jwks: JSON.stringify({ keys: [jwk] }) };
  };
  const platforms = {
    [CLUSTER]: platform("RS256"),
    [ACTIONS]: platform("RS256"),
    [TRUST_DOMAIN]: platform(),
  };
  let scene;
  before(async () => {
    const workload = (client_id, issuer, subject, more = {}) => ({
      client_id,
      scopes: ["mcp:tools"],
      workload: { issuer, subject, ...more },
    });
    scene = await startLogin({
      server: {
        trusted_issuers: [
          {
            name: "cluster",
            issuer: CLUSTER,
            jwks: platforms[CLUSTER].jwks,
            token_claims: ["/kubernetes.io/namespace"],
          },
          {
            name: "actions",
            issuer: ACTIONS,
            jwks: platforms[ACTIONS].jwks,
            token_claims: ["repository", "ref"],
          },
          { name: "mesh", issuer: TRUST_DOMAIN, jwks: platforms[TRUST_DOMAIN].jwks },
        ],
        clients: [
          workload("pod", "cluster", "system:serviceaccount:prod:*"),
          workload("build", "actions", "repo:acme/agent:*", { claims: { repository_id: ["12345"] } }),
          workload("service", "mesh", `${TRUST_DOMAIN}/ns/prod/sa/agent`),
        ],
      },
      resource: {
        rules: [
          {
            effect: "allow",
            tools: ["add"],
            when: { claims: { ref: ["refs/heads/main"] } },
          },
          { effect: "allow", tools: ["add"], when: { claims: { namespace: ["prod"] } } },
        ],
      },
    });
  });
  after(() => scene?.close());

  const assertion = (issuer, claims) => {
    const now = Math.floor(Date.now() / 1000);
    const { privateKey, alg } = platforms[issuer];
    return new SignJWT({ iss: issuer, aud: scene.issuer, iat: now, exp: now + 600, ...claims })
      .setProtectedHeader({ alg, kid: "platform" })
      .sign(privateKey);
  };
  const POD = { sub: "system:serviceaccount:prod:agent", "kubernetes.io": { namespace: "prod" } };
  const BUILD = {
    sub: "repo:acme/agent:ref:refs/heads/main",
    repository: "acme/agent",
    repository_id: "12345",
    ref: "refs/heads/main",
  };
  const SERVICE = { sub: `${TRUST_DOMAIN}/ns/prod/sa/agent` };

  for (const [what, issuer, claims, client, allowed] of [
    ["a pod of Kubernetes", CLUSTER, POD, "pod", true],
    ["a build of GitHub Actions", ACTIONS, BUILD, "build", true],
    ["a service with a JWT-SVID", TRUST_DOMAIN, SERVICE, "service", false],
  ]) {
    test(`${what} gets a token of its client by assertion, and rules read its claims`, async () => {
      const answer = await scene.token({
        grant_type: JWT_BEARER,
        assertion: await assertion(issuer, claims),
      });
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      assert.equal(claimsOf(answer.body.access_token).sub, `client:${client}`);
      assert.equal((await use(scene.gateway, answer.body.access_token)).text.includes("8888888"), allowed);
    });

    test(`${what} authenticates its client with an assertion`, async () => {
      const answer = await scene.token({
        grant_type: "client_credentials",
        client_id: client,
        client_assertion: await assertion(issuer, claims),
        client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
      });
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
    });
  }

  test("a build of another branch has a token, and may not call the tool", async () => {
    const ref = "refs/pull/7/merge";
    const answer = await scene.token({
      grant_type: JWT_BEARER,
      assertion: await assertion(ACTIONS, { ...BUILD, sub: `repo:acme/agent:ref:${ref}`, ref }),
    });
    assert.equal(answer.status, 200);
    assert.doesNotMatch((await use(scene.gateway, answer.body.access_token)).text, /8888888/);
  });

  for (const [what, issuer, claims] of [
    ["a pod of another namespace", CLUSTER, { ...POD, sub: "system:serviceaccount:dev:agent" }],
    ["a build of another repository", ACTIONS, { ...BUILD, sub: "repo:evil/agent:ref:refs/heads/main" }],
    ["a repository that took an old name", ACTIONS, { ...BUILD, repository_id: "99999" }],
    ["a service of another trust domain", TRUST_DOMAIN, { sub: "spiffe://evil.example/ns/prod/sa/agent" }],
    ["a token for another audience", CLUSTER, { ...POD, aud: CLUSTER }],
    ["an expired token", CLUSTER, { ...POD, exp: 1 }],
    ["a token for a year", CLUSTER, { ...POD, exp: Math.floor(Date.now() / 1000) + 31_536_000 }],
  ])
    test(`${what} is refused`, async () => {
      const answer = await scene.token({
        grant_type: JWT_BEARER,
        assertion: await assertion(issuer, claims),
      });
      assert.deepEqual([answer.status, answer.body.error], [400, "invalid_grant"]);
    });
});
