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
  reach: "connection",
  challenge: "challenge",
  resource: "resource metadata",
  server: "authorization server metadata",
  keys: "keys",
  registration: "registration",
  authorize: "authorization request",
  token: "token request",
  probe: "probes of both eras",
  call: "calls",
  browser: "requests of web pages",
};
