// What a user would write instead: `jose` with a cached key set, the checks that MCP asks for, and the token kept from
// the origin server.
import { forward } from "./forward.mjs";
import { refuse, verify } from "./verify.mjs";

export default {
  async fetch(request, env) {
    const verified = await verify(request, env);
    return verified.claims ? forward(request, env) : refuse(verified);
  },
};
