/**
 * The corpus of hostile tokens and keys on the Worker as it is deployed: WebCrypto, and all, must say of each what the
 * portable implementation says of it.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { startFleet } from "./support/fleet.mjs";

const corpus = JSON.parse(readFileSync(new URL("../vectors/hostile.json", import.meta.url), "utf8"));
/** Gateways at once: each case with keys of its own needs one. */
const FLEET = 24;

const document = (jwksUri) => ({
  public_url: "https://gate.example",
  issuers: [
    {
      name: "idp",
      issuer: corpus.issuer,
      jwks_uri: jwksUri,
      algorithms: ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"],
    },
  ],
  resources: [{ path: "/mcp", origin: "https://tools.example/mcp", issuers: ["idp"], scopes: ["mcp:tools"] }],
  scope_includes: { everything: ["mcp:tools", "admin"] },
});

/** What became of a case: the reason in the log, which agrees with the status. */
async function judge(gateway, { token }) {
  const answer = await gateway.fetch("https://gate.example/mcp", {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: "{}",
  });
  await answer.arrayBuffer();
  const { reason, status } = await gateway.line(answer.headers.get("x-request-id"));
  assert.equal(status, answer.status);
  assert.equal(answer.status === 200, reason === "forwarded");
  return reason;
}

async function judgeAll(cases, sets) {
  const fleet = await startFleet({
    documents: sets.map((_, at) => document(`https://login.example/keys/${at}`)),
    outbound: ({ url }) => {
      const { host, pathname } = new URL(url);
      if (host === "tools.example") return { body: "{}", type: "application/json" };
      return { body: JSON.stringify(sets[Number(pathname.split("/").at(-1))]), type: "application/json" };
    },
  });
  const wrong = [];
  try {
    for (const [at, entry] of cases.entries()) {
      const reason = await judge(fleet.gateways[at % sets.length], entry);
      if (reason !== entry.reason) wrong.push(`${entry.name}: ${reason}, not ${entry.reason}`);
    }
  } finally {
    await fleet.close();
  }
  assert.deepEqual(wrong, []);
}

describe("the corpus of hostile tokens", { concurrency: 1 }, () => {
  // An issuer is asked for one unknown key id in a while, and the others are told to wait.
  const alone = ({ jwks, reason }) => jwks !== undefined || reason === "token_key_unknown";
  const usual = corpus.cases.filter((entry) => !alone(entry));
  const keyed = corpus.cases.filter(alone);

  test(`${usual.length} of them with the usual keys`, { timeout: 120_000 }, () =>
    judgeAll(usual, [corpus.jwks]),
  );

  for (let at = 0; at < keyed.length; at += FLEET) {
    const some = keyed.slice(at, at + FLEET);
    test(`${some.length} of them in gateways of their own, from ${at}`, { timeout: 120_000 }, () =>
      judgeAll(
        some,
        some.map(({ jwks }) => jwks ?? corpus.jwks),
      ),
    );
  }
});
