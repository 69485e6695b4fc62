/** Answers a request that no MCP server ever saw. Nobody has read its id, hence `null`. */
export function refuse(res, status, code, message) {
  res.writeHead(status, { "content-type": "application/json" });
  res.end(JSON.stringify({ jsonrpc: "2.0", error: { code, message }, id: null }));
}
