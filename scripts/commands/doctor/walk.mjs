// Walks a gateway as clients walk it, from the first request to the point where a person would have to log in, and past it
// with a token. What is found is a list of findings: `{ id, step, level, what, cure, clients }`.
import { browser } from "./browser.mjs";
import { call } from "./call.mjs";
import { challenge, probes, reach } from "./reach.mjs";
import { resource } from "./resource.mjs";
import { server } from "./server.mjs";

/** Walks. `token` is an access token to go on with; `onStep` is told what is looked at. */
export async function walk(url, { token, webOrigin, onStep = () => {} } = {}) {
  const findings = [];
  const facts = {};
  const note = (level) => (id, step, what, cure, more) =>
    findings.push({ id, step, level, what, cure, ...more });
  const error = note("error");
  const warn = note("warning");
  const state = { url, token, webOrigin, error, warn, facts };

  try {
    await steps(state, onStep);
  } catch (cause) {
    // What nobody foresaw is the endpoint's doing all the same, and no reason to keep the rest.
    const what = `what it answers cannot be read: ${cause.message}`;
    error("unreadable", "reach", what, "look at its answers by hand; a client may stop there, too");
  }
  return { findings, facts };
}

async function steps(state, onStep) {
  onStep("the first request");
  const first = await reach(state);
  if (first === undefined) return;
  onStep("the challenge");
  await challenge(state, first);
  onStep("the resource's metadata");
  const issuers = await resource(state);
  for (const issuer of issuers) {
    onStep(`the authorization server ${issuer}`);
    await server(state, issuer);
  }
  onStep("both eras, and requests of pages");
  await probes(state);
  await browser(state);
  if (state.token !== undefined && !state.facts.unprotected) {
    onStep("calls with your token");
    await call(state);
  }
}
