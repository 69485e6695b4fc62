// `jose.mjs`, and lists show only the tools that a caller may use. It relies on the request's `Mcp-Method`, where Portcullis reads
// the message.
import { forward } from "./forward.mjs";
import { refuse, verify } from "./verify.mjs";

/** An answer with the tools whose names begin with `read_`. A body that is a string is sent with its length. */
async function filtered(answer) {
  const message = JSON.parse(await answer.text());
  const { result } = message;
  if (result?.tools) result.tools = result.tools.filter(({ name }) => name.startsWith("read_"));
  return new Response(JSON.stringify(message), { headers: { "content-type": "application/json" } });
}

export default {
  async fetch(request, env) {
    const verified = await verify(request, env);
    if (!verified.claims) return refuse(verified);
    const answer = await forward(request, env);
    const isList = request.headers.get("mcp-method") === "tools/list" && answer.status === 200;
    return isList ? filtered(answer) : answer;
  },
};
