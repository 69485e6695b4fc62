import { createServer, request as send } from "node:http";
import { buffer } from "node:stream/consumers";

/**
 * Stands before an origin server and changes what its lists have: `change(item, list)` gets each tool, prompt and resource template,
 * and may change it; `edit(text)` may change what is sent.
 */
export async function startChanging(target, change = () => {}) {
  const { host } = new URL(target);
  const proxy = { change };
  const server = createServer(async (incoming, answer) => {
    const body = await buffer(incoming).catch(() => undefined);
    if (!body) return answer.destroy();
    const headers = {
      ...incoming.headers,
      host,
      "content-length": body.length,
      "accept-encoding": "identity",
    };
    delete headers["transfer-encoding"];
    const outgoing = send(
      new URL(incoming.url, target),
      { method: incoming.method, headers },
      async (response) => {
        const { "content-length": _, ...fields } = response.headers;
        answer.writeHead(response.statusCode, fields);
        // The stream of a GET has no end.
        if (incoming.method === "GET") return response.pipe(answer);
        const text = await buffer(response).catch(() => undefined);
        const next = text && changed(text.toString("utf8"), proxy.change);
        answer.end(next && (proxy.edit?.(next) ?? next));
      },
    );
    outgoing.on("error", () => answer.destroy());
    answer.on("close", () => outgoing.destroy());
    outgoing.end(body);
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  return Object.assign(proxy, {
    url: `http://127.0.0.1:${server.address().port}${new URL(target).pathname}`,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  });
}

/** A message, or an event stream with messages, with changed lists. */
function changed(text, change) {
  const message = (json) => {
    let read;
    try {
      read = JSON.parse(json);
    } catch {
      return json;
    }
    for (const list of ["tools", "prompts", "resourceTemplates"])
      for (const item of read?.result?.[list] ?? []) change(item, list);
    return JSON.stringify(read);
  };
  return /^\s*\{/.test(text)
    ? message(text)
    : text.replaceAll(/^data: ?(\{.*)$/gm, (_, json) => `data: ${message(json)}`);
}
