/** Who may call what: rules, hidden things, step-up, batches, and fields that disagree with bodies. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  call,
  ERAS,
  outcome,
  outcomes,
  PASSED,
  RULES,
  shape,
  UNKNOWN_TOOL,
  withRules,
} from "./support/policy.mjs";
import { assertRefused, challengeOf } from "./support/refusal.mjs";

for (const [name, era] of Object.entries(ERAS)) {
  describe(`${name} era`, () => {
    test(
      "what is allowed reaches the origin server as it was sent, and nothing else does",
      withRules(RULES, async (scene) => {
        const request = call(era, "read", { path: "a" });
        assert.equal(outcome(await scene.post(request)), PASSED);
        assert.equal(scene.origin.only().body, request.body);
        scene.origin.reset();
        const answers = ["drop_table", "admin_x", "nothing", "write_file"].map((tool) => call(era, tool));
        const refusal = "403 403 The access token lacks a scope that this needs.";
        assert.deepEqual(await outcomes(scene, answers), [UNKNOWN_TOOL, UNKNOWN_TOOL, UNKNOWN_TOOL, refusal]);
        assert.deepEqual(scene.origin.requests, []);
      }),
    );

    test(
      "hidden and absent cannot be told apart: tools, prompts, resources, arguments, ids",
      withRules(RULES, async (scene) => {
        const token = await scene.token();
        const ask = async (request) => shape(await scene.post({ token, ...request }));
        const padding = "x".repeat(70_000);
        for (const options of [{ id: 7 }, { id: "seven" }, { id: undefined }]) {
          for (const args of [{}, { path: "/etc" }, { padding }]) {
            const absent = await ask(call(era, "no_such_tool", args, options));
            for (const hidden of ["drop_table", "DROP_table", "admin_x"])
              assert.deepEqual(await ask(call(era, hidden, args, options)), absent, hidden);
          }
        }
        const prompt = (of) => ask(era("prompts/get", { name: of }));
        assert.deepEqual(await prompt("drop_table"), await prompt("no_such_prompt"));
        const uris = ["file:///etc/passwd", "file:///docs", "no:such"];
        const read = await Promise.all(uris.map((uri) => ask(era("resources/read", { uri }))));
        for (const answer of read) assert.deepEqual(answer, read[0]);
        assert.deepEqual(scene.origin.requests, []);
      }),
    );

    test(
      "a step-up asks once for all scopes of the operation, and honours the hierarchy",
      withRules(RULES, async (scene) => {
        const write = call(era, "write_file");
        const answer = await scene.post(write);
        const challenge = challengeOf({
          error: "insufficient_scope",
          scope: "audit files:write mcp:tools",
          metadata: scene.metadataUrl,
        });
        await assertRefused(scene.gateway, answer, {
          status: 403,
          reason: "insufficient_scope",
          challenge,
          id: 7,
        });
        for (const [scope, passes] of [
          ["mcp:tools files:write", false],
          ["mcp:tools audit", false],
          ["files:write audit", false],
          ["mcp:tools files:write audit", true],
          ["mcp:tools files:* admin", true],
        ]) {
          const token = await scene.token({ claims: { scope } });
          assert.equal((await scene.post({ token, ...write })).status, passes ? 200 : 403, scope);
        }
        assert.equal(scene.origin.requests.length, 2);
      }),
    );

    test(
      "whoever lacks the scopes of the resource learns nothing of what is behind it",
      withRules(RULES, async (scene) => {
        const token = await scene.token({ claims: { scope: "other" } });
        const ask = async (tool) => shape(await scene.post({ token, ...call(era, tool) }));
        const [hidden, absent] = [await ask("drop_table"), await ask("no_such_tool")];
        assert.equal(hidden.status, 403);
        assert.deepEqual(hidden, absent);
        const named = (answer) => answer.fields.find(([name]) => name === "www-authenticate")[1];
        assert.match(named(hidden), /scope="mcp:tools"/);
      }),
    );

    test(
      "conditions on roles, claims, clients, subjects and arguments",
      withRules(
        [
          { effect: "deny", when: { subjects: ["eve"] } },
          { effect: "allow", tools: ["by_role"], when: { roles: ["admin"] } },
          { effect: "allow", tools: ["by_claim"], when: { claims: { "/org/plan": ["pro"], level: ["3"] } } },
          { effect: "allow", tools: ["by_client"], when: { clients: ["test-client"], issuers: ["idp"] } },
          { effect: "deny", tools: ["pay"], when: { arguments: { amount: { at_least: 100 } } } },
          {
            effect: "allow",
            tools: ["pay"],
            when: { arguments: { to: { like: "*@acme.example" }, amount: { at_most: 1000 } } },
          },
        ],
        async (scene) => {
          const asks = async (claims, requests) =>
            outcomes(scene, requests, { token: await scene.token({ claims }) });
          const calls = ["by_role", "by_claim", "by_client"].map((tool) => call(era, tool));
          const plain = [UNKNOWN_TOOL, UNKNOWN_TOOL, PASSED];
          assert.deepEqual(await asks({}, calls), plain);
          assert.deepEqual(await asks({ roles: ["admin"] }, calls), [PASSED, UNKNOWN_TOOL, PASSED]);
          const claims = { org: { plan: "pro" }, level: 3 };
          assert.deepEqual(await asks(claims, calls), [UNKNOWN_TOOL, PASSED, PASSED]);
          assert.deepEqual(await asks({ client_id: "other" }, calls), Array(3).fill(UNKNOWN_TOOL));
          assert.deepEqual(await asks({ sub: "eve", roles: ["admin"] }, calls), Array(3).fill(UNKNOWN_TOOL));
          const to = "bob@acme.example";
          for (const [args, passes] of [
            [{ to, amount: 99 }, true],
            [{ to, amount: 99.5 }, true],
            [{ to, amount: 100 }, false],
            [{ to, amount: 100.0 }, false],
            [{ to, amount: "99" }, false],
            [{ to }, false],
            [{ to, amount: null }, false],
            [{ to: `${to}.evil`, amount: 1 }, false],
            [{ to: [to], amount: 1 }, false],
            [undefined, false],
          ]) {
            const [said] = await asks({}, [call(era, "pay", args)]);
            assert.equal(said, passes ? PASSED : UNKNOWN_TOOL, JSON.stringify(args));
          }
        },
      ),
    );

    for (const [what, cf, allowed] of [
      ["the right country", { country: "DE", asn: 1 }, ["in_germany"]],
      ["the right network", { country: "US", asn: 13335 }, ["in_network"]],
      ["no known place", {}, []],
      ["a verified certificate", { tlsClientAuth: certificate("SUCCESS") }, ["with_certificate"]],
      ["a certificate that nobody vouches for", { tlsClientAuth: certificate("FAILED:self signed") }, []],
    ]) {
      test(
        `the connection: ${what}`,
        withRules(
          [
            { effect: "allow", tools: ["in_germany"], when: { countries: ["DE"] } },
            { effect: "allow", tools: ["in_network"], when: { asns: [13335] } },
            { effect: "allow", tools: ["with_certificate"], when: { mtls: true } },
          ],
          async (scene) => {
            const port = scene.gateway.port;
            for (const tool of ["in_germany", "in_network", "with_certificate"]) {
              const spoofed = { "CF-IPCountry": "DE", "CF-Connecting-IP": "1.1.1.1" };
              const said = outcome(await scene.post({ port, ...call(era, tool, {}, spoofed) }));
              assert.equal(said, allowed.includes(tool) ? PASSED : UNKNOWN_TOOL, tool);
            }
          },
          { cf },
        ),
      );
    }

    test(
      "an observed policy refuses nothing",
      withRules(
        RULES,
        async (scene) => {
          for (const tool of ["drop_table", "write_file", "nothing"])
            assert.equal(outcome(await scene.post(call(era, tool))), PASSED);
        },
        { resource: { rules_mode: "observe" } },
      ),
    );

    test(
      "other names for a denied tool do not reach the origin server",
      withRules([RULES[0], { effect: "allow", tools: ["*"] }], async (scene) => {
        const names = [
          "drop_table",
          "DROP_TABLE",
          " drop_table",
          "drop_table ",
          "drop_table\u0000",
          "\u200bdrop_table",
        ];
        names.push("dro\u00adp_table", "drop_table\u00a0", "drop_table\n", "", `drop_${"x".repeat(10_000)}`);
        names.push("x".repeat(10_000));
        for (const name of names) {
          const { status } = await scene.post(call(era, name));
          assert.ok([200, 400, 431].includes(status), `${JSON.stringify(name).slice(0, 40)}: ${status}`);
        }
        // Where any name passes, one that does not exist is asked for instead (`policy-hidden.test.mjs`).
        for (const { body, headers } of scene.origin.requests) {
          const { name } = JSON.parse(body).params;
          assert.match(name, /^portcullis-hidden-[0-9a-f]*-$/);
          assert.ok([undefined, name].includes(headers["mcp-name"]));
        }
        // What only looks like it is another name, and the origin server's to know.
        assert.equal(outcome(await scene.post(call(era, "dr\u043ep_table"))), PASSED);
      }),
    );
  });
}

function certificate(certVerified) {
  return { certVerified, certRevoked: "0", certFingerprintSHA256: "ab".repeat(32), certPresented: "1" };
}
