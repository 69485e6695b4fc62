// The conformance suite has no way to authenticate, so this proxy does it on the suite's behalf. Everything
// else passes as it came, field order and spelling included: the suite tests those too.

import { createServer, request } from "node:http";

// These speak about one connection, and this proxy has two.
const HOP_BY_HOP = new Set(["connection", "keep-alive"]);

export async function startShim({ target, token }) {
  const { hostname, port, host, origin } = new URL(target);
  let own;

  // A foreign Host or Origin has to stay foreign: refusing it is one of the things under test.
  const rewritten = (name, value) => {
    if (name === "host" && value === own) return host;
    if (name === "origin" && value === `http://${own}`) return origin;
    return value;
  };

  const server = createServer((req, res) => {
    const headers = ["authorization", `Bearer ${token}`];
    for (const [name, value] of pairs(req.rawHeaders)) {
      const key = name.toLowerCase();
      if (!HOP_BY_HOP.has(key)) headers.push(name, rewritten(key, value));
    }
    const upstream = request({ hostname, port, method: req.method, path: req.url, headers, agent: false });
    upstream.on("response", (answer) => {
      const fields = pairs(answer.rawHeaders).filter(([name]) => !HOP_BY_HOP.has(name.toLowerCase()));
      res.writeHead(answer.statusCode, answer.statusMessage, fields.flat());
      // An event stream may have nothing to say for a long time, and its client waits for the head.
      res.flushHeaders();
      answer.on("error", () => res.destroy());
      answer.pipe(res);
    });
    upstream.on("error", () => (res.headersSent ? res.destroy() : res.writeHead(502).end()));
    res.on("close", () => upstream.destroy());
    req.on("error", () => upstream.destroy());
    req.pipe(upstream);
  });

  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  own = `127.0.0.1:${server.address().port}`;
  return {
    url: `http://${own}`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function pairs(raw) {
  return Array.from({ length: raw.length / 2 }, (_, index) => [raw[2 * index], raw[2 * index + 1]]);
}
