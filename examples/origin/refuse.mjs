/** Refuses a request before it reaches an MCP server. Its id has not been read, so the answer has `null`. */
export function refuse(res, status, code, message) {
  res.writeHead(status, { "content-type": "application/json" });
  res.end(JSON.stringify({ jsonrpc: "2.0", error: { code, message }, id: null }));
}
