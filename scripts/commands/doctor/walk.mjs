// Sends the requests that clients send to a gateway, from the first one to the point where a person would have to log in, and with
// a token the calls after it. The result is a list of findings: `{ id, step, level, what, cure, clients }`.
import { browser } from "./browser.mjs";
import { call } from "./call.mjs";
import { challenge, probes, reach } from "./reach.mjs";
import { resource } from "./resource.mjs";
import { server } from "./server.mjs";

/** Does the walk. `token` is an access token for the calls after the login; `onStep` is called with the name of each step. */
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
    // An unexpected error comes from an answer of the endpoint: it becomes a finding, and the findings so far are kept.
    const what = `an answer of the endpoint cannot be read: ${cause.message}`;
    error("unreadable", "reach", what, "look at the answers by hand; a client may stop there too");
  }
  return { findings, facts };
}

async function steps(state, onStep) {
  onStep("the first request");
  const first = await reach(state);
  if (first === undefined) {
    state.facts.ended = true;
    return;
  }
  onStep("the challenge");
  await challenge(state, first);
  onStep("the metadata of the resource");
  const issuers = await resource(state);
  for (const issuer of issuers) {
    onStep(`the authorization server ${issuer}`);
    await server(state, issuer);
  }
  onStep("both eras, and requests of web pages");
  await probes(state);
  await browser(state);
  if (state.token !== undefined && !state.facts.unprotected) {
    onStep("calls with your token");
    await call(state);
  }
}
