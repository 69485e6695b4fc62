// The same contestant in Miniflare, in a Node process of its own, with Miniflare's own Worker before it (which does about
// as much again, for everybody) and Miniflare's stores within the measured process: how the probes were made that the
// targets come from.
import { startHelper } from "./helpers.mjs";
import { alone, figures } from "./processes.mjs";

export const prepare = (contestant) => contestant;

/** Miniflare fetches from real addresses alone. */
export const places = ({ world }) => {
  const url = (path) => `http://127.0.0.1:${world}${path}`;
  return { jwksUri: url("/jwks"), origin: url("/mcp"), publicOrigin: url("/public"), development: true };
};

export async function start(contestant) {
  const host = startHelper("miniflare-host.mjs");
  const modules = Object.entries(contestant.modules).map(([path, content]) => ({
    path,
    content: Buffer.from(content).toString("base64"),
  }));
  const { port, pid } = await host.ask("start", { ...contestant, modules });
  alone(pid);
  return { name: contestant.name, port, ...figures(pid), stop: () => host.ask("stop").finally(host.stop) };
}
