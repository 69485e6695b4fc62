// A request on its way to the origin server, and the answer on its way back: bodies, limits in time, and who leaves.
import { lines, readUpTo, toHeaders, within } from "./platform.js";

/** A limit in time that can be moved: it has one timer, as each costs as much as some header fields. */
class Limit {
  #at;
  #armed;
  #timer;
  #over;

  constructor(seconds, over) {
    this.#over = over;
    this.move(seconds);
  }

  /** So many seconds from now. */
  move(seconds) {
    this.#at = Date.now() + seconds * 1000;
    if (this.#timer !== undefined && this.#at >= this.#armed) return;
    this.stop();
    this.#arm(seconds * 1000);
  }

  #arm(milliseconds) {
    this.#armed = Date.now() + milliseconds;
    this.#timer = setTimeout(() => {
      const left = this.#at - Date.now();
      if (left > 0) this.#arm(left);
      else this.#over();
    }, milliseconds);
  }

  stop() {
    clearTimeout(this.#timer);
  }
}

/**
 * Does something where the caller of a request goes away, until what it gives is called. That must not be forgotten: what
 * a listener holds outlives the request, and many collections of garbage, and with it every object of the platform's.
 */
function whenGone({ signal }, work) {
  signal.addEventListener("abort", work);
  return () => signal.removeEventListener("abort", work);
}

/**
 * One request on its way to the origin server, and the answer on its way back.
 *
 * A small body is complete before it is sent on: half a message never reaches the origin server, and a refusal can
 * still name the request's id. A larger one streams, and where it ends too early or goes too far the request is
 * broken off, so that the origin server does not take what it has for the whole.
 */
export class Exchange {
  #request;
  #context;
  #keep;
  #kept = null;
  /** Breaks a request off whose body streams. */
  #upload;
  /** What its caller breaks off by leaving. */
  #leave;

  constructor(request, context, keep) {
    this.#request = request;
    this.#context = context;
    this.#keep = keep;
  }

  /**
   * Sees work through whose caller leaves before it is done. Until then it needs no promise to the platform, which would
   * cost every request what few need.
   */
  hold(work) {
    if (!(work instanceof Promise)) return;
    const done = whenGone(this.#request, () => {
      this.#context.waitUntil(work);
      this.#leave?.();
    });
    work.then(done, done);
  }

  /** Reads the whole body, and goes on with `reading`. */
  async read(bytes, seconds, reading) {
    let message;
    try {
      message = await this.message(bytes, seconds);
    } catch (word) {
      return reading.failed(word);
    }
    return reading.read(message);
  }

  /** Sends the request, and goes on with `sending`: in the old era without its caller, too, who may come back for it. */
  forward(fetcher, method, url, fields, limits, cancel, instead, sending) {
    const work = this.#forward(fetcher, method, url, fields, limits, cancel, instead, sending);
    if (!cancel) this.#context.waitUntil(work);
    return work;
  }

  async #forward(fetcher, method, url, fields, limits, cancel, instead, sending) {
    let answer;
    try {
      answer = await this.send(fetcher, method, url, fields, limits, cancel, instead);
    } catch (word) {
      return sending.failed(word);
    }
    return sending.answered(...answer);
  }

  /** The body, complete, where it comes in time and has at most `bytes`; null where it is not, or was sent already. */
  async peek(bytes, milliseconds) {
    if (this.#kept !== null) return this.#kept;
    const { body, bodyUsed } = this.#request;
    if (body === null || bodyUsed) return null;
    const reader = body.getReader();
    try {
      const read = await within(milliseconds, readUpTo(reader, bytes));
      return read.complete ? read.bytes : null;
    } catch {
      return null;
    } finally {
      reader.cancel().catch(() => {});
    }
  }

  /** The whole body, kept to be sent on as it is. Throws a word where it does not come whole. */
  async message(bytes, seconds) {
    const announced = this.#request.headers.get("content-length");
    const limited = (read) => within(seconds * 1000, read, "body cut short");
    if (isLength(announced, Math.min(bytes, this.#keep))) return limited(this.#small(announced));
    const { body } = this.#request;
    if (body === null) return new Uint8Array();
    const reader = body.getReader();
    try {
      const read = await limited(readUpTo(reader, bytes));
      if (!read.complete) throw "body too large";
      if (announced !== null && read.bytes.byteLength !== Number(announced)) throw "body cut short";
      this.#kept = read.bytes;
      return read.bytes;
    } catch (error) {
      throw typeof error === "string" ? error : "body cut short";
    } finally {
      reader.cancel().catch(() => {});
    }
  }

  /**
   * The body, where it says that it is small: it is read in one piece, as each chunk costs more than its bytes, and before
   * anybody asks for its stream, which would be one more object. Over HTTP it cannot be longer than it says; over a service
   * binding the Worker that calls is believed.
   */
  async #small(announced) {
    const whole = await this.#request.arrayBuffer().catch(() => {
      throw "body cut short";
    });
    if (whole.byteLength !== Number(announced)) throw "body cut short";
    this.#kept = new Uint8Array(whole);
    return this.#kept;
  }

  async #outboundBody(limit) {
    if (limit === 0) return null;
    if (this.#kept !== null) return this.#kept;
    const announced = this.#request.headers.get("content-length");
    if (isLength(announced, Math.min(limit, this.#keep))) return this.#small(announced);
    const { body } = this.#request;
    if (body === null) return null;
    const cut = () => {
      throw "body cut short";
    };
    const reader = body.getReader();
    const { complete, bytes } = await readUpTo(reader, Math.min(limit, this.#keep)).catch(cut);
    if (complete) {
      if (announced !== null && bytes.byteLength !== Number(announced)) throw "body cut short";
      this.#kept = bytes;
      return bytes;
    }
    if (bytes.byteLength > limit) throw "body too large";
    const { readable, writable } =
      announced === null ? new IdentityTransformStream() : new FixedLengthStream(Number(announced));
    this.#upload = new AbortController();
    upload(bytes, reader, writable.getWriter(), limit, this.#upload);
    return readable;
  }

  /**
   * Sends the request; the answer's status, fields and body, and where that is carried on piece by piece, a promise of a
   * word about how it ended. Throws a word where there is no answer.
   *
   * The platform ends what is still on its way to the origin server as soon as the caller has an answer, or has gone and
   * nothing is held for them: so a limit need only answer, and is left to the platform to forget.
   */
  send(fetcher, method, url, fields, limits, cancel, instead) {
    return new Promise((resolve, reject) => {
      const way = { waitsFor: "body cut short", over: false };
      const stop = (word) => {
        way.over = true;
        this.#upload?.abort(word);
        reject(word);
      };
      way.limit = new Limit(limits[1], () => stop(way.waitsFor));
      if (cancel) this.#leave = () => stop("gone");
      this.#exchange(fetcher, method, url, fields, limits, cancel, instead, way).then(resolve, (error) =>
        stop(this.#upload?.signal.reason ?? (typeof error === "string" ? error : "unreachable")),
      );
    });
  }

  async #exchange(fetcher, method, url, fields, limits, cancel, instead, way) {
    const [bytes, , idleSeconds, streamSeconds] = limits;
    const body = instead ?? (await this.#outboundBody(bytes));
    if (way.over) return undefined;
    way.waitsFor = "timeout";
    const init = {
      method,
      headers: toHeaders(fields),
      body,
      redirect: "manual",
      signal: this.#signal(cancel),
    };
    const answer = await (fetcher === undefined ? fetch(url, init) : fetcher.fetch(url, init));
    if (way.over) return answer.body?.cancel();
    if (this.#isSmall(answer.headers)) {
      way.limit.move(idleSeconds);
      const whole = await answer.arrayBuffer();
      // One without a body says how long it would be, too.
      return [answer.status, lines(answer.headers), whole.byteLength === 0 ? null : whole, undefined];
    }
    way.limit.stop();
    return [
      answer.status,
      lines(answer.headers),
      ...this.#carried(answer, idleSeconds, streamSeconds, cancel),
    ];
  }

  /** What breaks the request to the origin server off. */
  #signal(cancel) {
    const { signal } = this.#request;
    if (this.#upload === undefined) return cancel ? signal : undefined;
    return cancel ? AbortSignal.any([signal, this.#upload.signal]) : this.#upload.signal;
  }

  /** Whether an answer is better read in one piece: it is no stream, and small, and says so. */
  #isSmall(headers) {
    return (
      isLength(headers.get("content-length"), this.#keep) &&
      headers.get("content-encoding") === null &&
      !isEventStream(headers)
    );
  }

  /** The answer's body on its way through, and a promise of how that ended, where the gateway sees it. */
  #carried({ body, headers }, idleSeconds, streamSeconds, cancel) {
    const idle = isEventStream(headers) ? streamSeconds : idleSeconds;
    // The platform carries a body on at the cost of nothing, and ends it with its caller; which is all that is wanted of
    // one that may be silent and need not go on.
    if (body === null || (cancel && idle === 0)) return [body, undefined];
    const { readable, writable } = new IdentityTransformStream();
    const way = { cancel, abandoned: false };
    const ended = pump(body, writable, idle, way);
    if (cancel) {
      // Whoever reads this may hold what it reads: the next write, which would notice, can be far.
      const done = whenGone(this.#request, () => way.stop("gone"));
      ended.then(done);
    }
    // Otherwise the platform is done with the request as soon as its answer begins, and nobody hears of how it ends.
    this.#context.waitUntil(ended);
    readable.abandon = () => {
      way.abandoned = true;
    };
    return [readable, ended];
  }
}

/** Whether a Content-Length is there, and of something, and at most `bytes`. */
function isLength(field, bytes) {
  const length = Number(field);
  return length > 0 && length <= bytes;
}

function isEventStream(headers) {
  return headers.get("content-type")?.toLowerCase().startsWith("text/event-stream") ?? false;
}

/** Carries a body on, chunk by chunk, and cuts it where it is silent for so many seconds, if any; how it ended. */
async function pump(body, writable, idle, way) {
  const reader = body.getReader();
  const writer = writable.getWriter();
  let cut;
  const stop = (why) => {
    cut ??= why;
    reader.cancel(why).catch(() => {});
  };
  way.stop = stop;
  const limit = idle > 0 ? new Limit(idle, () => stop("idle")) : undefined;
  let gone = false;
  writer.closed.catch(() => {
    gone = true;
    if (way.cancel || way.abandoned) stop("gone");
  });
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (cut !== undefined) throw cut;
      limit?.move(idle);
      if (done) break;
      if (!gone) await writer.write(value).catch(() => {});
      if (gone && way.abandoned) stop("gone");
    }
    await writer.close().catch(() => {});
    return gone ? "gone" : "complete";
  } catch (error) {
    cut ??= gone ? "gone" : "lost";
    await writer.abort(error).catch(() => {});
    return cut;
  } finally {
    limit?.stop();
  }
}

/** Carries the rest of a large body on. */
async function upload(first, reader, writer, limit, abort) {
  let size = 0;
  let chunk = { value: first };
  try {
    while (!chunk.done) {
      size += chunk.value.byteLength;
      if (size > limit) return abort.abort("body too large");
      await writer.write(chunk.value);
      chunk = await reader.read().catch((error) => {
        abort.abort("body cut short");
        throw error;
      });
    }
    await writer.close();
  } catch (error) {
    // Closed too early by its sender, or no longer wanted by the origin server: either way it is over.
    await Promise.allSettled([writer.abort(error), reader.cancel(error)]);
  }
}
