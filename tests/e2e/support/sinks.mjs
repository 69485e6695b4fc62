// The gateway with what records decisions and counts requests: a queue, a data set, a rate-limiting binding, and what takes
// the platform's traces.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare, Response } from "miniflare";
import { parse as parseToml } from "smol-toml";
import { freePort } from "./processes.mjs";
import { assertNoneIn } from "./secrets.mjs";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const { compatibility_date: compatibilityDate, compatibility_flags: compatibilityFlags = [] } = parseToml(
  readFileSync(`${root}/wrangler.toml`, "utf8"),
);

// Takes what comes out of the queue.
const COLLECTOR = `
import { WorkerEntrypoint } from "cloudflare:workers";
export class Broken extends WorkerEntrypoint {
  async send() { throw new Error("the queue is full"); }
}
export default {
  async queue(batch, env) {
    for (const { body } of batch.messages) {
      await env.SINK.fetch("http://sink/", { method: "POST", body: JSON.stringify(body) });
    }
  },
};
`;

// Takes traces, as whatever exports them would.
const TRACER = `
export default {
  tailStream() {
    // The platform's own spans have numbers that JSON does not.
    const plain = (_, value) => (typeof value === "bigint" ? Number(value) : value);
    return ({ event }) => console.log("trace " + JSON.stringify(event, plain));
  },
};
`;

// Data sets of Miniflare keep nothing: this one, added to the gateway's bindings, says what was written.
const ENTRY = `
import gateway from "./index.js";
const POINTS = { writeDataPoint: (point) => console.log("point " + JSON.stringify(point)) };
export default { fetch: (request, env, ctx) => gateway.fetch(request, { ...env, POINTS }, ctx) };
`;

/**
 * Starts it. Bindings: `QUEUE`, `BROKEN` (a queue that takes nothing), `POINTS` (a data set), `REAL_POINTS` (one of
 * Miniflare's), and `LIMITER` (three in a minute). What arrived is in `messages`, `points` and
 * `traces`.
 */
export async function startWithSinks(config) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const [logs, messages, points, traces] = [[], [], [], []];
  const worker = new Miniflare(
    convertV4MiniflareOptions({
      log: new Log(LogLevel.NONE),
      host: "127.0.0.1",
      port,
      handleStructuredLogs({ message }) {
        if (message.startsWith("point ")) points.push(JSON.parse(message.slice("point ".length)));
        else if (message.startsWith("trace ")) traces.push(JSON.parse(message.slice("trace ".length)));
        else logs.push(message);
      },
      workers: [
        {
          name: "gateway",
          modules: [
            { type: "ESModule", path: `${root}/build-full/entry.js`, contents: ENTRY },
            { type: "ESModule", path: `${root}/build-full/index.js` },
            { type: "CompiledWasm", path: `${root}/build-full/index_bg.wasm` },
          ],
          modulesRoot: `${root}/build-full`,
          compatibilityDate,
          compatibilityFlags: [...compatibilityFlags, "streaming_tail_worker"],
          streamingTails: ["tracer"],
          bindings: { PORTCULLIS: config(url) },
          queueProducers: { QUEUE: { queueName: "decisions" } },
          analyticsEngineDatasets: { REAL_POINTS: { dataset: "decisions" } },
          ratelimits: { LIMITER: { namespace_id: "1", simple: { limit: 3, period: 60 } } },
          serviceBindings: {
            BROKEN: { name: "collector", entrypoint: "Broken" },
          },
        },
        {
          name: "tracer",
          modules: [{ type: "ESModule", path: "tracer.js", contents: TRACER }],
          compatibilityDate,
          compatibilityFlags: ["streaming_tail_worker", "experimental"],
        },
        {
          name: "collector",
          modules: [{ type: "ESModule", path: "collector.js", contents: COLLECTOR }],
          compatibilityDate,
          queueConsumers: { decisions: { maxBatchSize: 1, maxBatchTimeout: 0 } },
          serviceBindings: {
            async SINK(request) {
              messages.push(await request.json());
              return new Response("ok");
            },
          },
        },
      ],
    }),
  );
  await worker.ready;
  return {
    url,
    port,
    directPort: port,
    logs,
    messages,
    points,
    traces,
    events: () => logs.flatMap((line) => (line.startsWith("{") ? [JSON.parse(line)] : [])),
    async close() {
      await worker.dispose();
      assertNoneIn([...logs, ...messages, JSON.stringify(points), JSON.stringify(traces)]);
    },
  };
}
