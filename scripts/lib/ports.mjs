// Finds ports that no process uses.
import { connect, createServer } from "node:net";
import { say } from "./run.mjs";

/** `localhost` may be either address, and a process that listens on one of them would get requests that were meant for us. */
const LOOPBACK = ["127.0.0.1", "::1"];

function answers(host, port) {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1_000 });
    const end = (answer) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => end(true));
    socket.once("timeout", () => end(true));
    socket.once("error", () => end(false));
  });
}

function canListen(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, LOOPBACK[0], () => server.close(() => resolve(true)));
  });
}

async function isFree(port) {
  for (const host of LOOPBACK) if (await answers(host, port)) return false;
  return canListen(port);
}

/** The wanted port, or the next free one after it, which is then printed. */
export async function choosePort(what, wanted) {
  for (let port = wanted; port < Math.min(wanted + 100, 65_536); port += 1) {
    if (!(await isFree(port))) continue;
    if (port !== wanted) say(`port ${wanted} (${what}) is taken; using ${port} for this run`);
    return port;
  }
  throw new Error(
    `the ${what} needs a free port from ${wanted} to ${Math.min(wanted + 99, 65_535)}, and all are taken`,
  );
}
