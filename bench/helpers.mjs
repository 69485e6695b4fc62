// Starts the processes beside workerd: the clients, and the servers that the contestants call.
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { aside } from "./processes.mjs";

/** Starts a file of this folder as a process. `ask(task, input)` gives it one task at a time and resolves to the result. */
export function startHelper(file) {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)));
  aside(child.pid);
  return {
    ask(task, input) {
      return new Promise((resolve, reject) => {
        const ended = (code) => reject(new Error(`${file} ended with ${code}`));
        child.once("exit", ended);
        child.once("message", (answer) => {
          child.off("exit", ended);
          if (answer?.error) reject(new Error(answer.error));
          else resolve(answer);
        });
        child.send({ task, input });
      });
    },
    stop: () => child.disconnect(),
  };
}
