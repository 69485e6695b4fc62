// CPU for each request and requests a second: rounds in which every contestant serves the same number of requests, first
// in one order and then in the other, so that what changes on the machine meanwhile meets all of them.

/** Enters all contestants of a case; `missing` are those that cannot do it yet. */
export async function enterAll(setting, chosen, alg, needed) {
  const entered = [];
  const missing = [];
  for (const name of chosen.contestants) {
    if (name === "workers-oauth-provider" && alg !== "RS256") continue; // its tokens have no algorithm
    const one = await setting.enter(name, chosen, alg, needed);
    if (one) entered.push(one);
    else missing.push(name);
  }
  return { entered, missing };
}

/** Lets one serve so many requests, with the tokens that come after those of its last. */
export function serve(setting, one, { request, connections, count, rate }) {
  const { port, tokens, expect } = one;
  const job = { port, tokens: tokens && { ...tokens }, expect, request, connections, count, rate };
  if (tokens) tokens.from += count;
  return setting.load(job);
}

/** A case with an algorithm: for each contestant, µs of CPU, requests a second and subrequests, by round. */
export async function measure(setting, chosen, alg, { rounds, requests, warmup, connections }) {
  const half = Math.ceil((requests * chosen.share) / 2);
  const { entered, missing } = await enterAll(setting, chosen, alg, warmup + 2 * half * rounds);
  const rows = entered.map(({ name }) => ({ name, cpu: [], perSecond: [], subrequests: [] }));
  try {
    for (const one of entered) {
      const cycle = one.tokens?.cycle ?? 1;
      const count = Math.max(Math.ceil(warmup * chosen.share), cycle);
      await serve(setting, one, { request: chosen.request, connections, count });
    }
    for (let round = 0; round < rounds; round += 1) {
      const sums = entered.map(() => ({ cpu: 0, seconds: 0, subrequests: 0 }));
      const order = [...entered.keys()];
      // Who is first in the one order is not always the same.
      const turned = [...order.slice(round % order.length), ...order.slice(0, round % order.length)];
      for (const at of [...turned, ...turned.toReversed()]) {
        const { others } = await setting.seen();
        const before = entered[at].cpu();
        const job = { request: chosen.request, connections, count: half };
        const { perSecond } = await serve(setting, entered[at], job);
        sums[at].cpu += entered[at].cpu() - before;
        sums[at].seconds += half / perSecond;
        sums[at].subrequests += (await setting.seen()).others - others;
      }
      for (const [at, { cpu, seconds, subrequests }] of sums.entries()) {
        rows[at].cpu.push(cpu / 1_000 / (2 * half));
        rows[at].perSecond.push((2 * half) / seconds);
        rows[at].subrequests.push(subrequests / (2 * half));
      }
    }
  } finally {
    for (const one of entered) await one.stop();
  }
  return { name: chosen.name, title: chosen.title, alg, rows, missing };
}
