import { startOrigin } from "../../examples/origin/server.mjs";
import { freePort } from "../e2e/support/processes.mjs";
import { startShim } from "./shim.mjs";

/**
 * Starts everything the suites need and says where they find it: the gateway with an identity provider, an
 * origin and a shim that brings the token, or (`direct`) the origin alone.
 */
export async function startStack({ direct = false } = {}) {
  const started = [];
  const keep = (part) => {
    started.push(part);
    return part;
  };
  const close = async () => {
    for (const part of started.reverse()) await part.close();
  };

  try {
    const origin = keep(await startOrigin({ extensions: true }));
    if (direct) return { url: origin.url, logs: () => "", close };

    // Loaded late, so that the origin can be tested where the gateway was not built.
    const { startIdentityProvider } = await import("../../examples/identity-provider/provider.mjs");
    const { startGateway } = await import("../e2e/support/gateway.mjs");
    const { getToken } = await import("../e2e/support/token.mjs");

    const idp = keep(await startIdentityProvider());
    // The configuration names the gateway's own URL, so the port has to be known before the gateway runs.
    const port = await freePort();
    const publicUrl = `http://127.0.0.1:${port}`;
    const scope = "mcp:tools";
    const gateway = keep(
      await startGateway({
        port,
        secrets: { SESSIONS: "a secret of the conformance suite's own" },
        // Everything that reads messages is on, and allows everything: the suite must not notice.
        config: {
          public_url: publicUrl,
          development: true,
          issuers: [{ name: "idp", issuer: idp.issuer }],
          sessions: { secrets: ["SESSIONS"] },
          decision_log: {},
          resources: [
            {
              path: "/mcp",
              origin: origin.url,
              issuers: ["idp"],
              scopes: [scope],
              rules: [{ id: "everything", effect: "allow" }],
            },
          ],
        },
      }),
    );
    const token = await getToken(idp, { resource: `${publicUrl}/mcp`, scope });
    const shim = keep(await startShim({ target: gateway.url, token }));
    return { url: `${shim.url}/mcp`, logs: () => [gateway.logs].flat().join("\n"), close };
  } catch (error) {
    await close();
    throw error;
  }
}
