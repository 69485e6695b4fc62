// What the tests of rules have in common: messages of both eras, and answers without what is new in each.
import { LEGACY, MODERN, withScene } from "./scene.mjs";

const VERSION = "io.modelcontextprotocol/protocolVersion";

/** A message of the old era, for `scene.post`. */
export function legacy(method, params, { id = 7, ...fields } = {}) {
  const message = { jsonrpc: "2.0", id, method, ...(params === undefined ? {} : { params }) };
  return { fields: { ...LEGACY, ...fields }, body: JSON.stringify(message) };
}

/** A message of the modern era, its fields in agreement with its body; `fields` changes them, `undefined` leaves out. */
export function modern(method, params = {}, { id = 7, ...fields } = {}) {
  const name = ["tools/call", "prompts/get"].includes(method) ? params.name : (params.taskId ?? params.uri);
  const mirrored = { ...MODERN, "Mcp-Method": method, "Mcp-Name": mirror(name), ...fields };
  const body = { jsonrpc: "2.0", id, method, params: { ...params, _meta: { [VERSION]: "2026-07-28" } } };
  return {
    fields: Object.fromEntries(Object.entries(mirrored).filter(([, value]) => value !== undefined)),
    body: JSON.stringify(body),
  };
}

/** A value as a mirrored field has it: base64 where it could not be sent as it is. */
export function mirror(value) {
  if (typeof value !== "string") return undefined;
  if (/^[!-~]([ -~]*[!-~])?$/.test(value) && !value.startsWith("=?")) return value;
  return `=?base64?${Buffer.from(value).toString("base64")}?=`;
}

export const ERAS = { legacy, modern };

/** A call of a tool. */
export const call = (era, name, args, options) => era("tools/call", { name, arguments: args ?? {} }, options);

/**
 * Everything that a caller could tell an answer by: status, fields in their order, body. What differs from answer to
 * answer is replaced: the request's id, and how long it took.
 */
export function shape({ status, fields, body }) {
  const { "x-request-id": id, date: _, ...rest } = fields;
  const same = (text) => text.replaceAll(id, "<id>").replace(/\bdur=\d+/g, "dur=<ms>");
  return {
    status,
    fields: Object.entries(rest).map(([name, value]) => [name, same(value)]),
    body: same(body),
  };
}

/** The error of a JSON-RPC answer, as `code message`, or `passed` for a result. */
export function outcome(answer) {
  const { error, result } = answer.json();
  return error
    ? `${answer.status} ${error.code} ${error.message}`
    : `${answer.status} ${result ? "passed" : "?"}`;
}

export const UNKNOWN_TOOL = "200 -32602 Unknown tool.";
export const PASSED = "200 passed";

/** The rules that most tests of policy work with. */
export const RULES = [
  { id: "no-drops", effect: "deny", tools: ["drop_*"] },
  { id: "admins", effect: "allow", tools: ["admin_*"], when: { roles: ["admin"] } },
  { id: "write", effect: "step_up", scopes: ["files:write", "audit"], tools: ["write_*"], prompts: ["edit"] },
  { id: "read", effect: "allow", tools: ["read", "sum"], prompts: ["greet"], resources: ["file:///docs/*"] },
];
/** A scene with these rules, where the scope `admin` includes `audit`. */
export const withRules = (rules, work, more = {}) =>
  withScene(
    {
      ...more,
      resource: { rules, ...more.resource },
      changes: () => ({ scope_includes: { admin: ["audit"] } }),
    },
    work,
  );
/** What became of each of the requests, sent one after another. */
export const outcomes = async (scene, requests, options = {}) => {
  const all = [];
  for (const request of requests) all.push(outcome(await scene.post({ ...options, ...request })));
  return all;
};
