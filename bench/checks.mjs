// Checks the answers of every contestant before it is measured, so that only contestants that do the work are compared.
import assert from "node:assert/strict";
import { decodeJwt } from "jose";
import { exchange } from "./http.mjs";
import { ANSWERS, CALL, DENIED, LIST, STREAM } from "./requests.mjs";

/** Contestants with tool rules, with an identity assertion, with lists that show the caller's tools alone. */
const HAVE_RULES = ["jose-full", "portcullis:rules", "portcullis:manyRules"];
const SIGN = [...HAVE_RULES, "portcullis:assertion"];
/** Contestants with a credential for the origin server. */
const HAVE_CREDENTIALS = ["portcullis:static", "portcullis:exchange", "portcullis:perUser"];
/** Contestants that accept only their own tokens, so that all others are unknown to them. */
const ISSUE_TOKENS = [
  "workers-oauth-provider",
  "portcullis:own",
  "portcullis:ownExact",
  "portcullis:perUser",
];
const FILTER = ["json-filter", "portcullis:listFilter", "portcullis:listLocked", "portcullis:listCache"];

/** Contestants with several servers, which get the ids of requests sealed; and those whose list has the tools of ten, or as many. */
const HAVE_SERVERS = ["portcullis:federated", "portcullis:manyServers"];
const LONG_LISTS = { "portcullis:listOne": 1, "portcullis:listMerged": 10 };

/** The fields of Portcullis's 401. jose-401 must have them too, because both are compared. */
const REFUSAL_FIELDS = [
  "cache-control",
  "content-length",
  "content-security-policy",
  "content-type",
  "referrer-policy",
  "strict-transport-security",
  "vary",
  "www-authenticate",
  "x-content-type-options",
  "x-request-id",
];
/** The claims of Portcullis's assertion, and those that it has where rules read the message. */
const CLAIMS = ["aud", "client_id", "exp", "iat", "iss", "jti", "scope", "sub", "subject_issuer"];
const MESSAGE_CLAIMS = ["arguments_sha256", "mcp_method", "mcp_name"];

/** The body that the client must receive. */
function rightBody(name, request) {
  if (request === CALL) return ANSWERS.call;
  if (request === STREAM) return ANSWERS.events.join("");
  return name === "floor:public" ? ANSWERS.publicList : ANSWERS.list;
}

/** Asserts that the list has the tools that the rules let the caller see and no others, and is sent with its length. */
function assertFiltered({ fields, body }) {
  const expected = JSON.parse(ANSWERS.list);
  expected.result.tools = expected.result.tools.filter(({ name }) => name.startsWith("read_"));
  assert.deepEqual(JSON.parse(body).result.tools, expected.result.tools);
  assert.equal(Number(fields["content-length"]), Buffer.byteLength(body));
}

/** Contestants that check nothing. */
const checksNothing = (name) => name === "bound" || name.startsWith("floor");

/** Tokens that every other contestant must refuse, with the status of the answer. */
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

/** Asserts that a refusal has what Portcullis's has: the fields, and a JSON-RPC error with the id of the request. */
function assertAtLength(name, { fields, body }) {
  const missing = REFUSAL_FIELDS.filter((field) => fields[field] === undefined);
  assert.deepEqual(missing, [], `${name} refuses without ${missing}`);
  const { error, ...rest } = JSON.parse(body);
  assert.deepEqual(rest, { id: null, jsonrpc: "2.0" });
  assert.deepEqual(Object.keys(error), ["code", "data", "message"]);
  assert.equal(error.data.request, fields["x-request-id"]);
}

async function assertRefuses({ name, port }, bad, arrived) {
  for (const [token, status] of bad) {
    const expected = ISSUE_TOKENS.includes(name) ? 401 : status;
    const answer = await exchange(port, CALL, token);
    assert.equal(answer.status, expected, `${name} answered a bad token with ${answer.status}`);
    assert.match(answer.fields["www-authenticate"], /resource_metadata=/);
    const atLength = name === "jose-401" || name.startsWith("portcullis:");
    if (atLength && status === 401) assertAtLength(name, answer);
  }
  assert.equal(await arrived(), 0, `${name} forwarded what it should refuse`);
}

/** Asserts that the rules let no caller use a tool that they do not allow. */
async function assertDenies({ name, port }, token, arrived) {
  const { status, body } = await exchange(port, DENIED, token);
  assert.equal(status, 200);
  assert.equal(JSON.parse(body).error?.code, -32602, `${name} answered a denied call with ${body}`);
  assert.equal(await arrived(), 0, `${name} forwarded a call that it should deny`);
}

function assertSigned(name, assertion) {
  assert.ok(assertion, `${name} forwarded no assertion`);
  const claims = HAVE_RULES.includes(name) ? [...CLAIMS, ...MESSAGE_CLAIMS] : CLAIMS;
  assert.deepEqual(Object.keys(decodeJwt(assertion)).sort(), claims.toSorted(), `${name}: claims`);
}

/** Asserts that the origin server got the request once, with the body as the client sent it and without the token. */
function assertForwarded(name, request, { fields, body }, token) {
  assert.equal(fields["mcp-method"], request.fields["mcp-method"]);
  if (HAVE_SERVERS.includes(name)) {
    const [sent, asked] = [body, request.body].map((text) => JSON.parse(text));
    assert.notEqual(sent.id, asked.id);
    assert.deepEqual({ ...sent, id: asked.id }, asked, `${name} changed the body`);
  } else {
    const length = Buffer.byteLength(request.body);
    assert.equal(Number(fields["content-length"]), length, `${name}: length of the body`);
    assert.equal(body, request.body, `${name} changed the body`);
  }
  if (!name.startsWith("floor")) {
    assert.notEqual(fields.authorization, `Bearer ${token}`, `${name} forwarded the token`);
    assert.equal(fields.authorization !== undefined, HAVE_CREDENTIALS.includes(name));
  }
  if (SIGN.includes(name)) assertSigned(name, fields["x-portcullis-assertion"]);
}

/**
 * Checks that a contestant answers and refuses as it should. Returns the status and the size that each measured answer must have.
 * `setting.seen()` says which requests reached the origin server.
 */
export async function check(instance, { request, status }, token, setting, alg) {
  const { seen } = setting;
  const [name] = instance.name.split("#");
  const checked = { name, port: instance.port };
  const { count: before } = await seen();
  const arrived = async () => (await seen()).count - before;
  if (!checksNothing(name)) await assertRefuses(checked, await badTokens(setting, alg), arrived);
  if (HAVE_RULES.includes(name)) await assertDenies(checked, token, arrived);

  const answer = await exchange(instance.port, request, token);
  assert.equal(answer.status, status, `${name} answered ${answer.status}: ${answer.body}`);
  const expect = { status, bytes: Buffer.byteLength(answer.body) };
  if (status !== 200) return expect;

  if (LONG_LISTS[name] !== undefined) {
    assert.equal(JSON.parse(answer.body).result.tools.length, 400);
    assert.equal(await arrived(), LONG_LISTS[name]);
    return expect;
  }
  if (request === LIST && FILTER.includes(name)) assertFiltered(answer);
  else assert.equal(answer.body, rightBody(name, request), `${name} changed the answer`);
  assert.equal(await arrived(), 1);
  assertForwarded(name, request, (await seen()).last, token);
  return expect;
}
