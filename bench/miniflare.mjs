// Runs a contestant in Miniflare, in a Node process of its own. Miniflare's own Worker is in front of every contestant and costs
// about as much again, and Miniflare's stores are in the measured process. The targets were set with measurements made like this.
import { startHelper } from "./helpers.mjs";
import { alone, figures } from "./processes.mjs";

export const prepare = (contestant) => contestant;

/** Real addresses, because Miniflare fetches from no others. */
export const places = ({ world }) => {
  const url = (path) => `http://127.0.0.1:${world}${path}`;
  return {
    jwksUri: url("/jwks"),
    origin: url("/mcp"),
    publicOrigin: url("/public"),
    longOrigin: url("/long"),
    shortOrigin: url("/short"),
    development: true,
  };
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
