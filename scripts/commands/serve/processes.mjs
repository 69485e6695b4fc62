// The processes of `portcullis serve`: several workerd that accept the connections of one port, their replacement and their orderly end.
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

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

/** Fails where any process has the port: a socket that shares ports would take a part of its connections. */
export async function isFree({ port, host }) {
  const server = createServer();
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, host }, resolve);
  });
  await new Promise((resolve) => server.close(resolve));
}

/** Starts a process, and waits until it accepts connections. `onChild` gets it at once. */
async function start(workerd, { config, env }, place, onChild) {
  const server = await listen(place);
  const args = ["serve", config, "--socket-fd=gateway=4", "--control-fd=3"];
  const stdio = ["ignore", "inherit", "inherit", "pipe", server._handle.fd];
  const child = spawn(workerd, args, { env, stdio });
  server.close();
  onChild(child);
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
  return { child, startedAt: Date.now(), ended };
}

/** Ends a process: it finishes the requests that it has, for so many seconds at most. */
async function stop({ child, ended }, seconds) {
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), seconds * 1000);
  await ended;
  clearTimeout(timer);
}

/** Ends what is left of the command where it ends without its own doing. */
function startGuard(folder) {
  const script = fileURLToPath(new URL("guard.sh", import.meta.url));
  const guard = spawn("/bin/sh", [script, folder], { stdio: ["pipe", "ignore", "inherit"] });
  guard.stdin.on("error", () => {});
  guard.on("error", () => {});
  return {
    add: (pid) => guard.stdin.write(`+ ${pid}\n`),
    remove: (pid) => guard.stdin.write(`- ${pid}\n`),
    end: () => guard.stdin.end(),
  };
}

/**
 * Keeps `count` processes running at `place` (port and host). `make` makes a generation: the path of its configuration, its environment,
 * and `remove`. `alone` says that two generations must not run at the same time, because both would write the same records. `folder` has
 * the files of all generations.
 */
export class Processes {
  #workerd;
  #options;
  #guard;
  /** Every process that was started and has not ended. */
  #children = new Set();
  /** Those that accept connections, and that are replaced where they end. */
  #running = [];
  #generation;
  #stopping = false;
  /** How many processes in sequence had a short life. */
  #short = 0;

  constructor(workerd, options) {
    this.#workerd = workerd;
    this.#options = options;
    this.#guard = startGuard(options.folder);
  }

  /** Starts a generation in place of the one that runs. Where it cannot run, the one before runs on. */
  async replace() {
    const { make, alone, seconds } = this.#options;
    const next = await make();
    if (this.#stopping) return next.remove();
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
    while (!this.#stopping && this.#running.length < this.#options.count) await this.#add();
  }

  async #add() {
    const generation = this.#generation;
    const one = await start(this.#workerd, generation, this.#options.place, (child) => {
      // There is none: `start` says why.
      if (child.pid === undefined) return;
      this.#children.add(child);
      this.#guard.add(child.pid);
      child.once("exit", () => {
        this.#children.delete(child);
        this.#guard.remove(child.pid);
      });
      // The command ends: this one must not begin to work.
      if (this.#stopping) child.kill("SIGKILL");
    });
    this.#running.push(one);
    one.ended.then((how) => {
      if (this.#stopping || !this.#running.includes(one)) return;
      this.#running = this.#running.filter((other) => other !== one);
      this.#again(generation, how, Date.now() - one.startedAt < SHORT_LIFE * 1000);
    });
  }

  /** Starts a process in place of one that ended. */
  async #again(generation, how, wasShort) {
    this.#short = wasShort ? this.#short + 1 : 0;
    this.#options.onEnd(how, this.#short >= SHORT_LIVES);
    if (this.#short >= SHORT_LIVES) return;
    await sleep(1000 * this.#short);
    if (this.#stopping || this.#generation !== generation) return;
    await this.#add().catch((error) => this.#stopping || this.#again(generation, error.message, true));
  }

  /** Ends every process, whatever it is doing. */
  async stop() {
    this.#stopping = true;
    const limit = Date.now() + this.#options.seconds * 1000;
    const signal = (name) => {
      for (const child of this.#children) child.kill(name);
    };
    signal("SIGTERM");
    while (this.#children.size > 0 && Date.now() < limit) await sleep(50);
    signal("SIGKILL");
    while (this.#children.size > 0) await sleep(20);
    this.#guard.end();
  }
}
