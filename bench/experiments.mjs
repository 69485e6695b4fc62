// The experiments that are no cases: latency at a fixed rate, pauses for garbage collections, cold starts, memory.
import { byKind } from "./collections.mjs";
import { exchange } from "./http.mjs";
import { enterAll, serve, turned } from "./measure.mjs";
import { CALL } from "./requests.mjs";
import { WASM_MEMORY } from "./workerd.mjs";

const ALG = "RS256";

/** Percentiles of latency in milliseconds, by round, at a rate that is a share of the floor's rate under full load. */
export async function latency(setting, chosen, load, { latency: { rounds, seconds }, warmup, connections }) {
  const { entered } = await enterAll(setting, chosen, ALG, 0);
  const rows = entered.map(({ name }) => ({ name, p50: [], p99: [], firstByte: [] }));
  try {
    const { request } = chosen;
    let full;
    for (const one of entered) {
      await serve(setting, one, { request, connections, count: Math.ceil(warmup * chosen.share) });
      const { perSecond } = await serve(setting, one, { request, connections, count: 500 * chosen.share });
      full ??= perSecond; // the first contestant is the floor
    }
    const rate = Math.round(full * load);
    for (let round = 0; round < rounds; round += 1) {
      for (const at of turned(entered, round)) {
        const job = { request, connections: 4 * connections, count: Math.ceil(rate * seconds), rate };
        const figures = await serve(setting, entered[at], job);
        for (const name of ["p50", "p99", "firstByte"]) rows[at][name].push(figures[name]);
      }
    }
    return { name: chosen.name, title: chosen.title, rate, rows };
  } finally {
    for (const one of entered) await one.stop();
  }
}

/** The garbage collections of V8 while a contestant serves requests, and its CPU for each of these. */
export async function pauses(setting, chosen, { pauses: { requests }, warmup, connections }) {
  const { entered } = await enterAll(setting, chosen, ALG, 0, "traced");
  const rows = [];
  try {
    for (const one of entered) {
      const { request } = chosen;
      await serve(setting, one, { request, connections, count: warmup });
      const { length: before } = await one.collections();
      const used = one.cpu();
      await serve(setting, one, { request, connections, count: requests });
      const cpu = (one.cpu() - used) / 1_000 / requests;
      rows.push({ name: one.name, cpu, kinds: byKind((await one.collections()).slice(before)) });
    }
    return { requests, title: chosen.title, rows };
  } finally {
    for (const one of entered) await one.stop();
  }
}

/** Milliseconds from the start of a workerd process to the last byte of its first answer, a `tools/call`. */
export async function coldStart(setting, chosen, { coldStarts }) {
  const { entered } = await enterAll(setting, chosen, ALG, 0);
  // These instances were only needed for their tokens and configurations.
  for (const one of entered) await one.stop();
  const rows = entered.map(({ name }) => ({ name, milliseconds: [] }));
  for (let round = 0; round < coldStarts; round += 1) {
    for (const [at, one] of entered.entries()) {
      const token = one.ownToken ?? (await setting.issuer.token(ALG));
      const begun = performance.now();
      const instance = await setting.start(one.prepared);
      const { status } = await exchange(instance.port, CALL, token);
      rows[at].milliseconds.push(performance.now() - begun);
      await instance.stop();
      if (status !== 200) throw new Error(`${one.name} answered its first request with ${status}`);
    }
  }
  return { rows };
}

/** The isolate's own bytes after it has served each token once: V8's heap in use, and the memory of WebAssembly. */
async function isolate(setting, name, { tokens, connections, file, expect }) {
  const instance = await setting.start(setting.prepare(name, "lookedInto"));
  await setting.load({
    port: instance.port,
    request: CALL,
    tokens: { file, from: 0, cycle: tokens },
    expect,
    connections,
    count: tokens,
  });
  const { body } = await exchange(instance.port, {
    method: "GET",
    path: WASM_MEMORY,
    fields: { host: CALL.fields.host },
  });
  const full = (await instance.collections()).filter(({ kind }) => kind === "Mark-Compact");
  await instance.stop();
  return { heap: full.at(-1)?.left, wasm: Number(body) };
}

/** Resident memory of workerd while it serves many tokens in turn, and the isolate's own part of it. */
export async function memory(setting, contestants, { memory: { requests, tokens, readings }, connections }) {
  const file = await setting.issuer.file(ALG, tokens);
  const rows = [];
  for (const name of contestants) {
    const instance = await setting.start(setting.prepare(name));
    const { body } = await exchange(instance.port, CALL, await setting.issuer.token(ALG));
    const expect = { status: 200, bytes: Buffer.byteLength(body) };
    const resident = [instance.resident()];
    const count = requests / readings;
    for (let at = 0; at < readings; at += 1) {
      const place = { file, from: (at * count) % tokens, cycle: tokens };
      await setting.load({ port: instance.port, request: CALL, tokens: place, expect, connections, count });
      resident.push(instance.resident());
    }
    await instance.stop();
    rows.push({ name, resident, ...(await isolate(setting, name, { tokens, connections, file, expect })) });
  }
  return { requests, tokens, rows };
}
