// What popular clients do until their first call, according to their published code or documentation (2026-11), and so which steps
// of the walk each depends on.
//
// `registration`: how a client can become known to an authorization server, by a client ID metadata document (`document`) or by
// dynamic registration (`dynamic`). `browser`: its requests come from a web page.
const ALL = [
  "reach",
  "challenge",
  "resource",
  "server",
  "keys",
  "registration",
  "authorize",
  "token",
  "probe",
  "call",
];

const client = (name, { registration = ["document", "dynamic"], browser = false } = {}) => ({
  name,
  registration,
  browser,
  steps: browser ? [...ALL, "browser"] : ALL,
});

export const CLIENTS = [
  client("Claude"),
  client("ChatGPT"),
  client("VS Code"),
  client("Cursor", { registration: ["dynamic"] }),
  client("Copilot CLI", { registration: ["dynamic"] }),
  client("Inspector", { registration: ["dynamic"] }),
  client("Inspector, pages", { registration: ["dynamic"], browser: true }),
  client("mcp-remote", { registration: ["dynamic"] }),
  client("TypeScript SDK"),
  client("Python SDK"),
];

export const STEPS = {
  reach: "reached",
  challenge: "told to log in",
  resource: "resource metadata",
  server: "server metadata",
  keys: "keys",
  registration: "registered",
  authorize: "sent to log in",
  token: "gets a token",
  probe: "eras",
  call: "calls",
  browser: "from a page",
};
