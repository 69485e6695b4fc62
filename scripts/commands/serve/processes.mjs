// The processes of `portcullis serve`: several workerd that accept the connections of one port, their replacement and their orderly end.
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** Seconds in which a process must begin to accept connections. */
const START_SECONDS = 30;
/** A process that ends sooner than so many seconds after its start counts as one that cannot run. */
const SHORT_LIFE = 10;
/** So many of them one after another end the command. */
const SHORT_LIVES = 5;

/** Whether several sockets can have one port, between which the system distributes connections (SO_REUSEPORT). */
export const sharesPorts = process.platform === "linux";

/** A socket that listens. It is of the process to which it is given: this one must close it before it can accept anything. */
function listen({ port, host }) {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, host, backlog: 1024, reusePort: sharesPorts }, () => resolve(server));
  });
}

/** Starts a process, and waits until it accepts connections. */
async function start(workerd, { config, env }, place) {
  const server = await listen(place);
  const args = ["serve", config, "--socket-fd=gateway=4", "--control-fd=3"];
  const stdio = ["ignore", "inherit", "inherit", "pipe", server._handle.fd];
  const child = spawn(workerd, args, { env, stdio });
  server.close();
  const ended = new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(signal ?? `status ${code}`));
  });
  const ready = new Promise((resolve) => {
    let seen = "";
    child.stdio[3].on("data", (data) => {
      seen = `${seen}${data}`.slice(-4096);
      if (seen.includes('"listen"')) resolve();
    });
  });
  const limit = new AbortController();
  const late = `workerd is not ready after ${START_SECONDS} seconds`;
  const failure = await Promise.race([
    ready,
    ended.then((how) => `workerd ended with ${how}`),
    sleep(START_SECONDS * 1000, late, { signal: limit.signal }).catch(() => {}),
  ]);
  limit.abort();
  if (failure !== undefined) {
    child.kill("SIGKILL");
    throw new Error(failure);
  }
  return { child, begun: Date.now(), ended };
}

/** Ends a process: it finishes the requests that it has, for so many seconds at most. */
async function stop({ child, ended }, seconds) {
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), seconds * 1000);
  await ended;
  clearTimeout(timer);
}

/**
 * Keeps `count` processes running at `place` (port and host). `make` makes a generation: the path of its configuration, its environment,
 * and `remove`. `alone` says that two generations must not run at the same time, because both would write the same records.
 */
export class Processes {
  #workerd;
  #options;
  #running = [];
  #generation;
  #stopping = false;
  /** How many processes in sequence had a short life. */
  #short = 0;

  constructor(workerd, options) {
    this.#workerd = workerd;
    this.#options = options;
  }

  /** Starts a generation in place of the one that runs. Where it cannot run, the one before runs on. */
  async replace() {
    const { make, alone, seconds } = this.#options;
    const next = await make();
    const [before, old] = [this.#running, this.#generation];
    [this.#running, this.#generation] = [[], next];
    if (alone) await Promise.all(before.map((one) => stop(one, seconds)));
    try {
      await this.#fill();
    } catch (error) {
      await Promise.all(this.#running.map((one) => stop(one, 0)));
      next.remove();
      [this.#running, this.#generation] = [alone ? [] : before, old];
      if (old && alone) await this.#fill();
      throw error;
    }
    if (!alone) await Promise.all(before.map((one) => stop(one, seconds)));
    old?.remove();
  }

  async #fill() {
    while (this.#running.length < this.#options.count) await this.#add();
  }

  async #add() {
    const generation = this.#generation;
    const one = await start(this.#workerd, generation, this.#options.place);
    this.#running.push(one);
    one.ended.then((how) => {
      if (this.#stopping || !this.#running.includes(one)) return;
      this.#running = this.#running.filter((other) => other !== one);
      this.#again(generation, how, Date.now() - one.begun < SHORT_LIFE * 1000);
    });
  }

  /** Starts a process in place of one that ended. */
  async #again(generation, how, wasShort) {
    this.#short = wasShort ? this.#short + 1 : 0;
    this.#options.onEnd(how, this.#short >= SHORT_LIVES);
    if (this.#short >= SHORT_LIVES) return;
    await sleep(1000 * this.#short);
    if (this.#stopping || this.#generation !== generation) return;
    await this.#add().catch((error) => this.#again(generation, error.message, true));
  }

  async stop() {
    this.#stopping = true;
    await Promise.all(this.#running.map((one) => stop(one, this.#options.seconds)));
    this.#generation?.remove();
  }
}
