// A tool with a user interface (SEP-1865), made with the package for Apps.

import {
  RESOURCE_MIME_TYPE,
  registerAppResource,
  registerAppTool,
} from "@modelcontextprotocol/ext-apps/server";

const URI = "ui://chart/view.html";
const CSP = { connectDomains: ["https://data.example"], resourceDomains: [] };
const PAGE = "<!doctype html><title>Chart</title><p>A chart</p>";

export function register(mcp) {
  registerAppTool(
    mcp,
    "chart",
    { description: "Draws a chart", _meta: { ui: { resourceUri: URI } } },
    async () => ({ content: [{ type: "text", text: "A chart" }] }),
  );
  registerAppResource(mcp, "Chart", URI, {}, async () => ({
    contents: [{ uri: URI, mimeType: RESOURCE_MIME_TYPE, text: PAGE, _meta: { ui: { csp: CSP } } }],
  }));
}
