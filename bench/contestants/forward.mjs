// How the contestants in JavaScript forward: the fields that an MCP server needs, and the body as it comes. A contestant that
// signs an identity assertion gives it here.
const FIELDS = [
  "accept",
  "content-type",
  "last-event-id",
  "mcp-method",
  "mcp-name",
  "mcp-protocol-version",
  "mcp-session-id",
  "user-agent",
];

export function forward(request, env, { body = request.body, assertion } = {}) {
  const headers = new Headers();
  for (const name of FIELDS) {
    const value = request.headers.get(name);
    if (value !== null) headers.set(name, value);
  }
  if (assertion !== undefined) headers.set("x-portcullis-assertion", assertion);
  return fetch(env.ORIGIN, { method: request.method, headers, body, redirect: "manual" });
}
