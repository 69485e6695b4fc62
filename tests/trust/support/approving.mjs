// A gateway with rules that have calls wait, clients for it, and people who approve without a browser's window.
import { startLogin } from "../../e2e/support/login.mjs";
import { CookieJar } from "../../e2e/support/token.mjs";

const HOLD = { wait_seconds: 10 };

/** Rules, and what a resource has besides; `rule` changes the one that has calls of `transfer` wait. */
export const waiting = ({ rule = {}, approvals = HOLD, ...resource } = {}) => ({
  rules: [
    { id: "money", effect: "approve", tools: ["transfer"], ...rule },
    { effect: "allow", tools: ["*"] },
  ],
  approvals,
  ...resource,
});

/** Starts it in front of `server`, which the caller ends. */
export async function startApproving(server, { resource = {}, changes = {}, ...rest } = {}) {
  const scene = await startLogin({
    origin: { url: server.url, close: () => {} },
    secrets: {
      SEAL: "a secret that seals".padEnd(40, "."),
      HOOK_SECRET: "what the webhook knows".padEnd(40, "."),
    },
    resource: waiting(resource),
    changes: { sessions: { secrets: ["SEAL"] }, decision_log: {}, ...changes },
    ...rest,
  });
  /** What the clients of `CLIENTS` need: a user who is logged in. */
  const as = async (user = scene.idp.user) => {
    scene.idp.user = user;
    const { body } = await scene.login();
    return { resourceUrl: scene.resource, token: async () => body.access_token };
  };
  return {
    ...scene,
    as,
    decisions: () => scene.gateway.events().filter(({ event }) => event === "decision"),
  };
}

/** The first URL in a text. */
export const urlIn = (text) => text.match(/https?:\/\/[^\s"]+\/approvals\/[\w-]+/)?.[0];

const value = (page, name) => page.match(new RegExp(`name="${name}" value="([^"]*)"`))?.[1];

/** A person with a browser that keeps cookies: `visit` follows redirects, `decide` sends the form of a page. */
export function person() {
  const jar = new CookieJar();
  const send = async (url, options = {}) => {
    const target = new URL(url);
    const headers = { ...options.headers, cookie: jar.header(target) };
    const response = await fetch(target, { ...options, headers, redirect: "manual" });
    jar.store(target, response);
    return response;
  };
  const visit = async (url) => {
    let next = url;
    for (let step = 0; step < 20; step += 1) {
      const response = await send(next);
      const location = response.headers.get("location");
      if (location === null) return { status: response.status, url: next, text: await response.text() };
      next = new URL(location, next).href;
    }
    throw new Error(`${url} leads nowhere`);
  };
  const decide = async (page, decision, reason = "") => {
    const body = new URLSearchParams({ form: value(page.text, "form") ?? "", decision, reason });
    const headers = { origin: new URL(page.url).origin, "content-type": "application/x-www-form-urlencoded" };
    const response = await send(page.url, { method: "POST", headers, body });
    return { status: response.status, text: await response.text() };
  };
  return { send, visit, decide };
}

/** Approves or denies in a new browser. */
export async function answer(url, decision = "approve", reason = "") {
  const someone = person();
  const page = await someone.visit(url);
  return someone.decide(page, decision, reason);
}
