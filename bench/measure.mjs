// Measures CPU for each request and requests a second. In each round every contestant serves the same number of requests, first in
// one order and then in the reverse order, so that changes on the machine affect all contestants alike.

/**
 * Starts and checks all contestants of a case, for one of the views of workerd.mjs. `missing` are the names of those that cannot
 * do it yet.
 */
export async function enterAll(setting, chosen, alg, needed, view) {
  const entered = [];
  const missing = [];
  for (const name of chosen.contestants) {
    if (name === "workers-oauth-provider" && alg !== "RS256") continue; // its tokens are opaque and have no algorithm
    const one = await setting.enter(name, chosen, alg, needed, view);
    if (one) entered.push(one);
    else missing.push(name);
  }
  return { entered, missing };
}

/** The places of the contestants in the order of a round: another one is first in each. */
export function turned(entered, round) {
  const order = [...entered.keys()];
  const first = round % order.length;
  return [...order.slice(first), ...order.slice(0, first)];
}

/** Sends `count` requests to a contestant, with the tokens that follow those of its previous job. */
export function serve(setting, one, { request, connections, count, rate }) {
  const { port, tokens, expect } = one;
  const job = { port, tokens: tokens && { ...tokens }, expect, request, connections, count, rate };
  if (tokens) tokens.from += count;
  return setting.load(job);
}

/**
 * Measures a case with one algorithm: µs of CPU, requests a second and subrequests of each contestant, by round. Two processes that
 * do the same differ by some percent for as long as they run, so a case whose contestants differ by less has several sittings, each
 * with new processes.
 */
export async function measure(setting, chosen, alg, size) {
  const sittings = Math.min(chosen.sittings, size.rounds);
  const rows = new Map();
  let missing = [];
  for (let sitting = 0; sitting < sittings; sitting += 1) {
    const rounds = Math.floor((size.rounds + sitting) / sittings);
    const measured = await sit(setting, chosen, alg, { ...size, rounds });
    missing = measured.missing;
    for (const { name, ...figures } of measured.rows) {
      const row = rows.get(name) ?? { name, cpu: [], perSecond: [], subrequests: [] };
      for (const [figure, values] of Object.entries(figures)) row[figure].push(...values);
      rows.set(name, row);
    }
  }
  return { name: chosen.name, title: chosen.title, alg, rows: [...rows.values()], missing };
}

/** The rounds of one sitting. */
async function sit(setting, chosen, alg, { rounds, requests, warmup, connections }) {
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
      const order = turned(entered, round);
      for (const at of [...order, ...order.toReversed()]) {
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
  return { rows, missing };
}
