// The entry point of the Worker: the handlers and classes that the Workers runtime calls.
import * as gate from "portcullis";

/** A Worker with verifiers of its own exports `fetchWithVerifiers` beside the handler that has none. */
const handle = gate.fetchWithVerifiers ?? gate.fetch;
/** What is due each minute, in a Worker with the authorization server. */
const runSchedule = gate.fetchWithVerifiers ? gate.scheduledWithVerifiers : gate.scheduled;

/** Whether a panic has left the memory of the WebAssembly module inconsistent. No call may use it until it is reset. */
let broken = false;
/** How often the module was reset. */
let lives = 0;

function whole() {
  if (!broken) return;
  gate.__wbg_reset_state();
  broken = false;
  lives += 1;
}

function examine(error) {
  if (error instanceof WebAssembly.RuntimeError) broken = true;
}

addEventListener("error", ({ error }) => examine(error));

/** The span of this invocation, if the platform traces it. */
function traced({ tracing }) {
  const span = tracing?.getActiveSpan?.();
  return span?.isTraced ? span : undefined;
}

export default {
  // Not asynchronous: the promise of a function around the module's own one costs every request something. Where the module
  // continues after this function has returned, `guarded` in platform.js reports what is thrown, and the listener above gets it.
  fetch(request, env, context) {
    whole();
    try {
      return handle(request, env, context, traced(context));
    } catch (error) {
      examine(error);
      throw error;
    }
  },

  async scheduled(_event, env, context) {
    if (runSchedule === undefined)
      throw new Error(
        `a cron trigger needs what this Worker lacks: ${gate.scheduled ? "the export scheduledWithVerifiers" : "the authorization server (build-full)"}`,
      );
    whole();
    try {
      await runSchedule(env, context);
    } catch (error) {
      examine(error);
      throw error;
    }
  },
};

/** A Durable Object class that delegates to an object of the module, and makes that object again after a reset. */
const object = (make) =>
  class {
    #state;
    #env;
    #inner;
    #life;

    constructor(state, env) {
      this.#state = state;
      this.#env = env;
    }

    async #ask(ask) {
      whole();
      if (this.#life !== lives) {
        this.#inner = make(this.#state, this.#env);
        this.#life = lives;
      }
      try {
        return await ask(this.#inner);
      } catch (error) {
        examine(error);
        throw error;
      }
    }

    fetch(request) {
      return this.#ask((inner) => inner.fetch(request));
    }

    alarm() {
      return this.#ask((inner) => inner.alarm());
    }
  };

/** The record of used DPoP proofs that all isolates share. */
export const ReplayGuard = object((state, env) => new gate.ReplayGuard(state, env));

/** The counters of budgets that all isolates share. */
export const DayBudget = object((state, env) => new gate.DayBudget(state, env));

/** The users and groups that identity providers provision, in a Worker that has the authorization server. */
export const Directory = object((state, env) => new gate.Directory(state, env));

/** The records of the authorization server, in a Worker that has it. */
export const AuthorizationRecords = object((state, env) => new gate.AuthorizationRecords(state, env));
