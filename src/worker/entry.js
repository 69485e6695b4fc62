// The Worker as the platform sees it.
import * as gate from "portcullis";

/** A panic leaves the module's memory as it was in the middle of something: nothing goes on with it. */
let broken = false;
/** How often it was begun anew. */
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

/** The span of this invocation, where somebody traces it. */
function traced({ tracing }) {
  const span = tracing?.getActiveSpan?.();
  return span?.isTraced ? span : undefined;
}

export default {
  async fetch(request, env, context) {
    whole();
    try {
      return await gate.fetch(request, env, context, traced(context));
    } catch (error) {
      examine(error);
      throw error;
    }
  },
};

/** A Durable Object's class around one of the module's. */
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

/** The memory of used proofs that all isolates share. */
export const ReplayGuard = object((state, env) => new gate.ReplayGuard(state, env));

/** The records of the authorization server, in a Worker that has it. */
export const AuthorizationRecords = object((state, env) => new gate.AuthorizationRecords(state, env));
