// The clients, in a process of their own. They send requests as fast as the connections allow, or at a fixed rate. An answer whose
// status or size differs from the checked one is an error, and an error ends the run.
import { readFileSync } from "node:fs";
import { Agent, request as httpRequest } from "node:http";
import { percentile } from "./statistics.mjs";

const files = new Map();
function tokensOf(name) {
  if (!files.has(name)) files.set(name, readFileSync(name, "latin1").split("\n"));
  return files.get(name);
}

/** The bearer tokens of a job, in turn from the token `from` on; with `cycle`, the first `cycle` tokens of the file repeatedly. */
function bearers({ file, from = 0, cycle = Number.POSITIVE_INFINITY } = {}) {
  if (file === undefined) return () => undefined;
  const tokens = tokensOf(file);
  let at = 0;
  return () => {
    const token = tokens[(from + at) % cycle];
    if (token === undefined) throw new Error(`${file} has no token ${from + at}`);
    at += 1;
    return `Bearer ${token}`;
  };
}

const agents = new Map();
function agentFor(port, connections) {
  const key = `${port}/${connections}`;
  if (!agents.has(key)) agents.set(key, new Agent({ keepAlive: true, maxSockets: connections }));
  return agents.get(key);
}

/** Sends one request; `done` gets the milliseconds until the last and until the first byte of the body. */
function send({ port, request, expect }, agent, authorization, done) {
  const { method, path, fields, body } = request;
  const headers = authorization === undefined ? fields : { ...fields, authorization };
  const begun = performance.now();
  const outgoing = httpRequest({ host: "127.0.0.1", port, method, path, headers, agent }, (response) => {
    let size = 0;
    let first = 0;
    response.on("data", (chunk) => {
      if (size === 0) first = performance.now();
      size += chunk.length;
    });
    response.on("error", (error) => done(error));
    response.on("end", () => {
      if (response.statusCode !== expect.status || size !== expect.bytes)
        done(
          new Error(`${response.statusCode} with ${size} bytes, not ${expect.status} with ${expect.bytes}`),
        );
      else done(undefined, performance.now() - begun, first - begun);
    });
  });
  outgoing.on("error", (error) => done(error));
  outgoing.end(body);
}

/** Runs a job to its end: `begin` decides when each request is sent. */
function run(job, begin) {
  const agent = agentFor(job.port, job.connections);
  const authorization = bearers(job.tokens);
  const latencies = new Float64Array(job.count);
  const firsts = new Float64Array(job.count);
  let finished = 0;
  const begun = performance.now();
  return new Promise((resolve, reject) => {
    const sendOne = (after) =>
      send(job, agent, authorization(), (error, latency, first) => {
        if (error) return reject(error);
        latencies[finished] = latency;
        firsts[finished] = first;
        finished += 1;
        if (finished === job.count)
          resolve({ latencies, firsts, seconds: (performance.now() - begun) / 1000 });
        else after();
      });
    begin(sendOne, job);
  });
}

/** Closed loop: each connection sends its next request when it has the answer to the last one. */
function closed(sendOne, { count, connections }) {
  let sent = 0;
  const next = () => {
    if (sent === count) return;
    sent += 1;
    sendOne(next);
  };
  for (let at = 0; at < connections; at += 1) next();
}

/** Open loop: requests are sent at a fixed rate, whether or not earlier ones have been answered. */
function open(sendOne, { count, rate }) {
  const begun = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    const due = Math.min(count, Math.floor(((performance.now() - begun) / 1000) * rate));
    for (; sent < due; sent += 1) sendOne(() => {});
    if (sent === count) clearInterval(timer);
  }, 1);
}

async function work(job) {
  const { latencies, firsts, seconds } = await run(job, job.rate ? open : closed);
  return {
    perSecond: job.count / seconds,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    firstByte: percentile(firsts, 0.5),
  };
}

process.on("message", async ({ input }) => {
  try {
    process.send(await work(input));
  } catch (error) {
    process.send({ error: error.message });
  }
});
process.on("disconnect", () => process.exit());
