// An origin server that is only a witness: it keeps what arrives and answers as it is told.
import { createServer } from "node:http";
import { eventually } from "./http.mjs";

/** What an MCP server would answer, in short. */
export function answerOk(_request, response, record) {
  const id = safeId(record.body);
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify({ jsonrpc: "2.0", id, result: {} }));
}

function safeId(body) {
  try {
    return JSON.parse(body).id ?? null;
  } catch {
    return null;
  }
}

/**
 * Starts the witness. `answer(request, response, record)` is called when a request is complete, or with its head
 * already where `early` is set; it may be replaced at any time.
 *
 * Each record of `requests` has the head as it came, the body's bytes so far, whether the body came to its end
 * (`complete`), and whether the connection went away before the answer was finished (`cancelled`).
 */
export async function startWitness({ answer = answerOk, port = 0 } = {}) {
  const requests = [];
  const witness = { answer, early: false, requests };
  const server = createServer((request, response) => {
    const { early } = witness;
    const chunks = [];
    const record = {
      method: request.method,
      url: request.url,
      headers: request.headers,
      rawHeaders: request.rawHeaders,
      complete: false,
      cancelled: false,
      get body() {
        return Buffer.concat(chunks).toString("utf8");
      },
      get bytes() {
        return Buffer.concat(chunks);
      },
    };
    requests.push(record);
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("error", () => {});
    response.on("error", () => {});
    response.on("close", () => {
      record.cancelled = !response.writableFinished;
    });
    request.on("end", () => {
      record.complete = true;
      if (!early) witness.answer(request, response, record);
    });
    if (early) witness.answer(request, response, record);
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  const bound = server.address().port;

  return Object.assign(witness, {
    port: bound,
    authority: `127.0.0.1:${bound}`,
    url: `http://127.0.0.1:${bound}/mcp`,
    /** The only request that came since `reset()`. */
    only() {
      if (requests.length !== 1) throw new Error(`${requests.length} requests came, not one`);
      return requests[0];
    },
    arrived: (count = 1) => eventually("a request at the origin server", () => requests.length >= count),
    reset(next = answerOk) {
      requests.length = 0;
      witness.answer = next;
      witness.early = false;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  });
}
