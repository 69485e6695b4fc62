// How the contestants in JavaScript forward: the fields that an MCP server needs, the body as it comes, and nothing else.
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

export function forward(request, env) {
  const headers = new Headers();
  for (const name of FIELDS) {
    const value = request.headers.get(name);
    if (value !== null) headers.set(name, value);
  }
  const { method, body } = request;
  return fetch(env.ORIGIN, { method, headers, body, redirect: "manual" });
}
