// Checks the answers of every contestant before it is measured, so that only contestants that do the work are compared.
import assert from "node:assert/strict";
import { exchange } from "./http.mjs";
import { ANSWERS, CALL, LIST, STREAM } from "./requests.mjs";

/** The body that the client must receive. */
function rightBody(name, request) {
  if (request === CALL) return ANSWERS.call;
  if (request === STREAM) return ANSWERS.events.join("");
  if (name === "floor:public" || name === "portcullis:listCache") return ANSWERS.publicList;
  return ANSWERS.list;
}

/** Asserts that the list has the tools that the rules of contestants/portcullis.mjs let the caller see, and no others. */
function assertFiltered(body) {
  const expected = JSON.parse(ANSWERS.list);
  expected.result.tools = expected.result.tools.filter(({ name }) => name.startsWith("read_"));
  assert.deepEqual(JSON.parse(body).result.tools, expected.result.tools);
}

/** Tokens that every contestant but the floor must refuse, with the status of the answer. */
async function badTokens({ issuer, stranger }, alg) {
  const past = Math.floor(Date.now() / 1000) - 3600;
  return [
    [undefined, 401],
    ["not.a.token", 401],
    [await stranger.token(alg), 401],
    [await issuer.token(alg, { exp: past }), 401],
    [await issuer.token(alg, { iss: "https://other.example" }), 401],
    [await issuer.token(alg, { aud: "https://other.example/mcp" }), 401],
    [await issuer.token(alg, { scope: "other" }), 403],
  ];
}

async function assertRefuses(instance, bad, alone) {
  const [who] = instance.name.split(":");
  for (const [token, status] of bad) {
    // workers-oauth-provider accepts only its own tokens, so all of these are unknown to it.
    const expected = who === "workers-oauth-provider" ? 401 : status;
    const answer = await exchange(instance.port, CALL, token);
    assert.equal(answer.status, expected, `${instance.name} answered a bad token with ${answer.status}`);
    assert.match(answer.fields["www-authenticate"], /resource_metadata=/);
  }
  assert.equal(await alone(), 0, `${instance.name} forwarded what it should refuse`);
}

/**
 * Checks that a contestant answers and refuses as it should. Returns the status and the size that each measured answer must have.
 * `setting.seen()` says which requests reached the origin server.
 */
export async function check(instance, { request, status }, token, setting, alg) {
  const { seen } = setting;
  const [who, kind = ""] = instance.name.split("#")[0].split(":");
  const { count: before } = await seen();
  const arrived = async () => (await seen()).count - before;
  if (who !== "floor") await assertRefuses(instance, await badTokens(setting, alg), arrived);

  const answer = await exchange(instance.port, request, token);
  assert.equal(answer.status, status, `${instance.name} answered ${answer.status}: ${answer.body}`);
  const expect = { status, bytes: Buffer.byteLength(answer.body) };
  if (status !== 200) return expect;

  if (request === LIST && kind.startsWith("list")) assertFiltered(answer.body);
  else assert.equal(answer.body, rightBody(`${who}:${kind}`, request), `${instance.name} changed the answer`);
  const { last } = await seen();
  assert.equal(await arrived(), 1);
  assert.equal(last["mcp-method"], request.fields["mcp-method"]);
  assert.equal(
    Number(last["content-length"] ?? 0),
    Buffer.byteLength(request.body),
    `${instance.name}: body`,
  );
  if (who !== "floor") assert.equal(last.authorization, undefined, `${instance.name} forwarded the token`);
  if (["assertion", "rules", "manyRules"].includes(kind)) assert.ok(last["x-portcullis-assertion"]);
  return expect;
}
