import { createServer, request as send } from "node:http";
import { pipeline } from "node:stream";
import { buffer } from "node:stream/consumers";

/**
 * Stands before an origin, lets everything through and writes down what came: method, header fields, the
 * method of the JSON-RPC message, the status of the answer. So tests can look at what an origin really gets.
 */
export async function startRecorder(target) {
  const { host } = new URL(target);
  const requests = [];
  const server = createServer(async (incoming, answer) => {
    const record = { method: incoming.method, url: incoming.url, headers: incoming.headers };
    requests.push(record);
    const body = await buffer(incoming).catch(() => undefined);
    if (!body) return answer.destroy(); // the caller went away
    record.rpcMethod = rpcMethod(body);

    const headers = { ...incoming.headers, host };
    delete headers["transfer-encoding"];
    delete headers["content-length"];
    if (body.length > 0) headers["content-length"] = body.length;
    const outgoing = send(new URL(incoming.url, target), { method: incoming.method, headers }, (response) => {
      record.status = response.statusCode;
      answer.writeHead(response.statusCode, response.headers);
      answer.flushHeaders();
      pipeline(response, answer, () => {}); // either side may go away
    });
    outgoing.on("error", () => {
      if (!answer.headersSent) answer.writeHead(502);
      answer.end();
    });
    answer.on("close", () => outgoing.destroy());
    outgoing.end(body);
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  return {
    url: `http://127.0.0.1:${port}${new URL(target).pathname}`,
    port,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

function rpcMethod(body) {
  try {
    return JSON.parse(body).method;
  } catch {
    return undefined;
  }
}
