// What a run needs once: the helper processes, keys and tokens, the contestants.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check } from "./checks.mjs";
import { makeContestants } from "./contestants.mjs";
import { startHelper } from "./helpers.mjs";
import * as miniflare from "./miniflare.mjs";
import { connectedToken, gatewayToken } from "./own-tokens.mjs";
import { providerToken } from "./provider.mjs";
import { makeIssuer } from "./tokens.mjs";
import * as workerd from "./workerd.mjs";

export async function makeSetting(build) {
  const folder = mkdtempSync(join(tmpdir(), "portcullis-bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const issuer = await makeIssuer(folder);
  // An issuer with other keys under the same key ids, for forged tokens.
  const stranger = await makeIssuer(folder);
  const contestants = await makeContestants(build);
  const world = startHelper("origin.mjs");
  const clients = startHelper("load.mjs");
  const ports = await world.ask("start", { jwks: issuer.jwks });
  const pools = new Map();

  /** A file with at least `count` tokens of an issuer: made where there is none, and used again by later cases. */
  async function pool(who, alg, count) {
    const key = `${who === issuer}/${alg}`;
    if (!(pools.get(key)?.count >= count)) pools.set(key, { count, file: await who.file(alg, count) });
    return pools.get(key).file;
  }

  /** The tokens that the clients send to a contestant in a case. Tokens that are used once are used from the first one on. */
  async function tokensFor(name, { tokens }, alg, needed) {
    const cycle = Number(name.split("#")[1] ?? 1);
    if (tokens === "none") return undefined;
    if (tokens === "repeat") return { file: await pool(issuer, alg, cycle), from: 0, cycle };
    return { file: await pool(tokens === "forged" ? stranger : issuer, alg, needed), from: 0 };
  }

  /** A token that the contestant itself issues, if it accepts no others. */
  async function ownTokens(name, port) {
    const publish = (url, document) => world.ask("publish", { url, document });
    const token = await {
      "workers-oauth-provider": () => providerToken(port),
      "portcullis:own": () => gatewayToken(port, issuer, publish),
      "portcullis:ownExact": () => gatewayToken(port, issuer, publish),
      "portcullis:perUser": () => connectedToken(port, issuer, publish),
    }[name]?.();
    if (token === undefined) return undefined;
    const file = join(folder, `provider-${port}.tokens`);
    writeFileSync(file, token);
    return { token, tokens: { file, from: 0, cycle: 1 } };
  }

  /** The operations on contestants that run in one way: in workerd alone, or in Miniflare. */
  function settingIn({ places, prepare, start }) {
    const setting = {
      issuer,
      stranger,
      start,
      seen: () => world.ask("seen"),
      load: (job) => clients.ask("run", job),

      /** Prepares a contestant for `start`; undefined where it cannot do the case yet. */
      prepare(name, view) {
        const contestant = contestants.find(name.split("#")[0], places(ports));
        return contestant && prepare({ ...contestant, name }, ports, folder, view);
      },

      /** Starts a contestant for a case and checks it. */
      async enter(name, chosen, alg, needed, view) {
        const prepared = setting.prepare(name, view);
        if (prepared === undefined) return undefined;
        const instance = await start(prepared);
        const own = await ownTokens(name, instance.port);
        const tokens = await tokensFor(name, chosen, alg, needed);
        const signer = chosen.tokens === "forged" ? stranger : issuer;
        const shown = tokens && (own?.token ?? (await signer.token(alg)));
        const expect = await check(instance, chosen, shown, setting, alg);
        return {
          ...instance,
          prepared,
          ownToken: own?.token,
          tokens: tokens && (own?.tokens ?? tokens),
          expect,
        };
      },
    };
    return setting;
  }

  return {
    inWorkerd: settingIn(workerd),
    inMiniflare: settingIn(miniflare),
    sizes: contestants.sizes,
    close() {
      world.stop();
      clients.stop();
    },
  };
}
