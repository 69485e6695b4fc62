// Sends a request to the origin server and its response back to the client: bodies, time limits, and clients that disconnect.
// Whether the request is sent, which limits apply and what the client gets is decided in Rust; only ordinary answers to repeated
// requests do not get there. Functions that nearly every request
// needs continue with an object of the WebAssembly module; the same functions as promises are for the driver of the core.
import { guarded, lines, readUpTo, toHeaders, within } from "./platform.js";

/** A time limit that can be moved. It uses one timer, because a timer costs as much as several header fields. */
class Limit {
  #at;
  #armed;
  #timer;
  #over;

  constructor(seconds, over) {
    this.#over = over;
    this.move(seconds);
  }

  /** Moves the limit to `seconds` from now. */
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
      if (left > 0) return this.#arm(left);
      this.#timer = undefined;
      this.#over();
    }, milliseconds);
  }

  stop() {
    clearTimeout(this.#timer);
  }
}

/**
 * Calls `work` if the client of a request disconnects. Returns a function that removes the listener, and that the caller must
 * call: what a listener references outlives the request and many garbage collections, and so do the platform's objects that
 * depend on it.
 */
function whenGone({ signal }, work) {
  signal.addEventListener("abort", work);
  return () => signal.removeEventListener("abort", work);
}

/**
 * What a request to an origin server has in common with those that repeat it, by its place in the core's table of remembered
 * decisions: the core decides that a request repeats another one, and then only what is new in it crosses.
 */
const plans = [];

/** What does not change when a request is repeated. */
export const plan = (fetcher, method, url, limits, cancel) => ({
  fetcher,
  method,
  url,
  // `limits` is a view of WebAssembly's memory.
  limits: [...limits],
  cancel,
});

/** Forgets what {@link repeat} needs. */
export function forgetAll() {
  plans.length = 0;
}

/** Names of fields that a client may get. They are the same for all plans. */
let forwardedNames;

/**
 * Keeps what {@link repeat} needs for the decision `id` at a place, and forgets what it needed for the places `freed`. `core` is the
 * decision, `records` whether the core records the outcome of each request.
 */
export function remember(slot, id, freed, core, plan, fields, records, answerFields, forwarded) {
  plans[slot] = undefined;
  for (const other of freed) plans[other] = undefined;
  forwardedNames ??= new Set(forwarded.split(","));
  const headers = new Headers(toHeaders(fields));
  headers.delete("tracestate");
  plans[slot] = {
    id,
    core,
    plan,
    headers,
    records,
    answerFields: toHeaders(answerFields),
    forwarded: forwardedNames,
  };
}

/**
 * Sends a request that repeats the one of the decision `id`. `fresh` has its id, `traceparent` and, if it is forwarded,
 * `tracestate`. Returns undefined if there is nothing kept for that decision.
 */
export function repeat(request, context, env, span, slot, id, keep, announced, fresh) {
  const known = plans[slot];
  if (known?.id !== id) return undefined;
  const [requestId, traceparent, tracestate] = fresh.split("\n");
  let { headers } = known;
  // Without an announced length, the request is sent only when its body was read: others that repeat the same one may be sent
  // before it.
  if (tracestate !== undefined || !announced) headers = new Headers(headers);
  if (tracestate !== undefined) headers.set("tracestate", tracestate);
  headers.set("traceparent", traceparent);
  const exchange = new Exchange(request, context, keep);
  const sent = Date.now();
  const waiting = () => known.core.waiting(exchange, context, env, span, requestId, traceparent, sent);
  const work = exchange.sendPlan(known.plan, headers, undefined, announced).then(
    guarded((answer) => {
      const own = known.records || span !== undefined ? undefined : ordinary(known, answer, requestId);
      return own ?? waiting().answered(...exchange.received(known.plan, answer));
    }),
    guarded((word) => waiting().failed(word)),
  );
  if (!known.plan.cancel) context.waitUntil(work);
  exchange.hold(work);
  return work;
}

/** As the core has it: visible ASCII, spaces and tabs. */
const PLAIN = /^[\t -~]*$/;

/**
 * The response for an answer about which the core has nothing to decide, with the fields that the core names. Undefined for every
 * other answer: then the core decides.
 */
export function ordinary({ plan, answerFields, forwarded }, answer, id) {
  if (answer.status !== 200 && answer.status !== 202) return undefined;
  if (plan.fetcher !== undefined || plan.limits[2] > 0) return undefined;
  let type = "";
  const fields = { ...answerFields };
  for (const [name, value] of answer.headers) {
    // The platform states the length of a body that it carries.
    if (name === "content-length" || !forwarded.has(name)) continue;
    if (name === "content-encoding" || !PLAIN.test(value)) return undefined;
    if (name === "content-type") type = value;
    if (name === "cache-control" && value !== "no-store" && value !== "no-cache") return undefined;
    fields[name] = value;
  }
  // The gateway writes comments into an event stream, asks whether it may go on, or lets it outlive its client.
  if ((plan.limits[3] > 0 || plan.limits[5] > 0 || !plan.cancel) && EVENT_STREAM.test(type)) return undefined;
  fields["x-request-id"] = id;
  return new Response(answer.body, { status: answer.status, headers: fields });
}

/**
 * One request to the origin server, and its response.
 *
 * A body that has a Content-Length passes as a stream of the platform, which keeps the length of a body from the network: the
 * origin server never takes a part for the whole body. Over a service binding the calling Worker has to keep it. Other bodies are
 * read up to a limit, and stream after it; if one ends too early or exceeds its limit, the gateway aborts the request.
 *
 * The body of the answer passes as a stream of the platform too, unless something has to read it: reading every body whole makes V8
 * stop for 100 to 400 ms at a time, and forwarding it in chunks costs more.
 */
export class Exchange {
  #request;
  #context;
  #keep;
  #kept = null;
  /** Aborts a request whose body the gateway carries. */
  #upload;
  /** Aborts the request to the origin server when the client disconnects. */
  #leave;
  /** When the request was sent. */
  #sent;

  constructor(request, context, keep) {
    this.#request = request;
    this.#context = context;
    this.#keep = keep;
  }

  /**
   * Lets `work` finish even if the client disconnects before it is done. Calls `waitUntil` only then, because that call would
   * cost every request something, and few requests need it.
   */
  hold(work) {
    if (!(work instanceof Promise)) return;
    const done = whenGone(this.#request, () => {
      this.#context.waitUntil(work);
      this.#leave?.();
    });
    work.then(done, done);
  }

  /** Reads the whole body, and continues with `reading`; its `failed` gets a word if the body is not complete. */
  read(bytes, seconds, reading) {
    return this.#message(bytes, seconds).then(
      guarded((message) => reading.read(message)),
      guarded((word) => reading.failed(word)),
    );
  }

  /** A promise of what {@link read} reads. */
  message(bytes, seconds) {
    return new Promise((resolve, reject) => {
      this.read(bytes, seconds, { read: resolve, failed: reject });
    });
  }

  /**
   * Sends the request, and continues with `sending`: with status, fields and body of the response and, if the body is forwarded
   * in chunks, a promise of a word that says how the body ended. `failed` gets a word if there is no response. Without `cancel`
   * (legacy era) it continues even if the client disconnects, because the client may reconnect for the response.
   */
  forward(plan, fields, instead, sending) {
    // `instead` is a view of WebAssembly's memory.
    const work = this.sendPlan(plan, toHeaders(fields), instead?.slice()).then(
      guarded((answer) => sending.answered(...this.received(plan, answer))),
      guarded((word) => sending.failed(word)),
    );
    if (!plan.cancel) this.#context.waitUntil(work);
    return work;
  }

  /** A promise of what {@link forward} gets, as an array. */
  send(plan, fields, instead) {
    return new Promise((resolve, reject) => {
      const sending = { answered: (...answer) => resolve(answer), failed: reject };
      this.forward(plan, fields, instead, sending);
    });
  }

  /** Whether the client has disconnected. */
  isGone() {
    return this.#request.signal.aborted;
  }

  /** The complete body, if it arrives in time and has at most `bytes`. Null if not, or if the body was read before. */
  async peek(bytes, milliseconds) {
    if (this.#kept !== null) return this.#kept;
    const { body, bodyUsed } = this.#request;
    if (body === null || bodyUsed) return null;
    let reader;
    try {
      reader = body.getReader();
      const read = await within(milliseconds, readUpTo(reader, bytes));
      return read.complete ? read.bytes : null;
    } catch {
      return null;
    } finally {
      reader?.cancel().catch(() => {});
    }
  }

  /** The whole body, which is kept so that it can be forwarded unchanged. Throws the reason if it is not complete. */
  async #message(bytes, seconds) {
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
   * The body, if `Content-Length` says that it is small. It is read in one piece, because each chunk costs more than its bytes,
   * and before any access to the stream, which would be one more object. Over HTTP the body cannot be longer than announced;
   * over a service binding the gateway trusts the calling Worker.
   */
  async #small(announced) {
    const whole = await this.#request.arrayBuffer().catch(() => {
      throw "body cut short";
    });
    if (whole.byteLength !== Number(announced)) throw "body cut short";
    this.#kept = new Uint8Array(whole);
    return this.#kept;
  }

  /** The body without a Content-Length: read up to a limit, and from there on as a stream. */
  async #unannounced(limit) {
    const { body } = this.#request;
    if (body === null) return null;
    const cut = () => {
      throw "body cut short";
    };
    const reader = body.getReader();
    const { complete, bytes } = await readUpTo(reader, Math.min(limit, this.#keep)).catch(cut);
    if (complete) {
      this.#kept = bytes;
      return bytes;
    }
    if (bytes.byteLength > limit) throw "body too large";
    const { readable, writable } = new IdentityTransformStream();
    this.#upload = new AbortController();
    upload(bytes, reader, writable.getWriter(), limit, this.#upload);
    return readable;
  }

  /**
   * The answer to a request. Throws a word if there is none: a body that the platform carries leaves open which side closed its
   * connection, the client or the origin server.
   *
   * The platform ends the request to the origin server as soon as the client has a response, or has disconnected and `waitUntil`
   * holds nothing. Therefore a time limit only needs to answer; the platform discards the rest.
   */
  sendPlan(plan, headers, instead, announced = this.#request.headers.get("content-length") > 0) {
    this.#sent = Date.now();
    return new Promise((resolve, reject) => {
      let over = false;
      let waitsFor = "timeout";
      let passes = false;
      const stop = (word) => {
        if (over) return;
        over = true;
        this.#upload?.abort(word);
        reject(word);
      };
      // A timer that is left ends with the request, and to clear it costs as much as a field.
      setTimeout(() => stop(waitsFor), plan.limits[1] * 1000);
      if (plan.cancel) this.#leave = () => stop("gone");
      const failed = (error) => {
        const unknown = passes ? "unreachable, streamed" : "unreachable";
        const word = this.#request.signal.aborted ? "gone" : unknown;
        stop(this.#upload?.signal.reason ?? (typeof error === "string" ? error : word));
      };
      const begin = (body) => {
        if (over) return;
        const { fetcher, method, url, cancel } = plan;
        waitsFor = passes ? "timeout, streamed" : "timeout";
        const init = { method, headers, body, redirect: "manual", signal: this.#signal(cancel) };
        const answered = (answer) => {
          if (over) return answer.body?.cancel().catch(() => {});
          if (fetcher !== undefined && lies(answer, method)) {
            answer.body?.cancel().catch(() => {});
            return failed("unreachable");
          }
          over = true;
          resolve(answer);
        };
        try {
          (fetcher === undefined ? fetch(url, init) : fetcher.fetch(url, init)).then(answered, failed);
        } catch (error) {
          failed(error);
        }
      };
      const [bytes] = plan.limits;
      if (instead !== undefined) return begin(instead);
      if (bytes === 0) return begin(null);
      if (this.#kept !== null) return begin(this.#kept);
      if (announced) {
        passes = true;
        return begin(this.#request.body);
      }
      waitsFor = "body cut short";
      this.#unannounced(bytes).then(begin).catch(failed);
    });
  }

  /** The signal that aborts the request to the origin server. */
  #signal(cancel) {
    const { signal } = this.#request;
    if (this.#upload === undefined) return cancel ? signal : undefined;
    return cancel ? AbortSignal.any([signal, this.#upload.signal]) : this.#upload.signal;
  }

  /** Status, fields and body of an answer, and a promise of a word that says how the body ended, if the gateway sees that. */
  received({ fetcher, method, limits, cancel }, answer) {
    const [, , idleSeconds, keepAliveSeconds, totalSeconds, watchSeconds] = limits;
    const left = totalSeconds > 0 ? Math.max(1, this.#sent + totalSeconds * 1000 - Date.now()) : 0;
    const { status, headers } = answer;
    let { body } = answer;
    // The platform holds answers of the network to their Content-Length, but not those of a service binding.
    const announced = fetcher === undefined ? undefined : announcedLength(answer, method);
    if (announced !== undefined && body !== null) body = body.pipeThrough(new FixedLengthStream(announced));
    return [
      status,
      lines(headers),
      ...this.#carried(
        { body, headers },
        { idle: idleSeconds, keepAliveSeconds, left, watchSeconds },
        cancel,
      ),
    ];
  }

  /** The body that the client gets, and a promise of a word that says how it ended, if the gateway sees that. */
  #carried({ body, headers }, { idle, keepAliveSeconds, left, watchSeconds }, cancel) {
    if (body === null) return [null, undefined];
    const isStream = isEventStream(headers);
    const [keepAlive, watch] = isStream ? [keepAliveSeconds, watchSeconds] : [0, 0];
    // The platform itself forwards a body without CPU time, and ends it when the client disconnects. That is enough for a body
    // without an idle limit, unless it is an event stream that must not end with its client (legacy era): its server may still
    // be at work.
    if (idle === 0 && keepAlive === 0 && left === 0 && watch === 0 && (cancel || !isStream)) {
      // A filter that reads the body must itself end it when the client disconnects.
      body.whenGone = (work) => whenGone(this.#request, work);
      // To read a small body in one piece costs a filter less than its chunks.
      body.isSmall =
        isLength(headers.get("content-length"), this.#keep) && headers.get("content-encoding") === null;
      return [body, undefined];
    }
    const { readable, writable } = new IdentityTransformStream();
    if (idle === 0 && keepAlive === 0 && left === 0 && cancel) {
      const ended = this.#piped(body, readable, writable, watch);
      this.#context.waitUntil(ended);
      return [readable, ended];
    }
    const way = { cancel, abandoned: false };
    const ended = pump(body, writable, { idle, keepAlive, left }, way);
    if (cancel) {
      // A reader may hold back what it has read, so the next write, which would detect the disconnect, can be far away.
      const done = whenGone(this.#request, () => way.stop("gone"));
      ended.then(done);
    }
    // Without `waitUntil` the platform finishes the request when the response begins, and the gateway never sees how it ends.
    this.#context.waitUntil(ended);
    // The reason of an abort does not cross the stream.
    readable.isLate = () => way.isLate === true;
    readable.abandon = () => {
      way.abandoned = true;
    };
    if (watch > 0) readable.watch = (question) => watchOver(question, watch, way, ended, this.#context);
    return [readable, ended];
  }

  /** Has the platform carry a watched event stream, which costs a third of carrying it chunk by chunk. */
  #piped(body, readable, writable, watch) {
    const end = new AbortController();
    const way = { stop: (why) => end.abort(why) };
    const ended = piped(body, writable, end.signal);
    readable.watch = (question) => watchOver(question, watch, way, ended, this.#context);
    readable.whenGone = (work) => whenGone(this.#request, work);
    const done = whenGone(this.#request, () => way.stop("gone"));
    ended.then(done);
    return ended;
  }
}

/** Resolves to a word that says how the body ended. */
async function piped(body, writable, signal) {
  try {
    await body.pipeTo(writable, { signal, preventAbort: true });
    return "complete";
  } catch (error) {
    const how = signal.aborted ? signal.reason : "lost";
    const writer = writable.getWriter();
    // A part of an event at the end of a stream is no event (HTML §9.2.6), so the stream can end anywhere.
    await (how === "revoked" ? writer.close() : writer.abort(error)).catch(() => {});
    return how;
  }
}

/** Has an event stream ask `question` from time to time, and ends it if it may not go on. */
export function watchStream(body, question) {
  if (body?.watch === undefined) question.free();
  else body.watch(question);
}

/** Seconds after which a question that has no answer counts as failed. */
const ANSWER_SECONDS = 15;

function watchOver(question, seconds, way, ended, context) {
  let isAsking = false;
  let isOver = false;
  const timer = setInterval(() => {
    if (isAsking) return;
    isAsking = true;
    ask();
  }, seconds * 1000);
  const stop = () => {
    clearInterval(timer);
    way.stop("revoked");
  };
  async function ask() {
    try {
      const answer = question.mayGoOn();
      // It reads what other requests wait for, so it ends even if the stream ends before it.
      context.waitUntil(answer);
      if (!(await within(ANSWER_SECONDS * 1000, answer))) stop();
    } catch {
      // The object is of the module before a reset, or its answer is lost: nothing watches over the stream any more.
      if (!isOver) stop();
    } finally {
      isAsking = false;
    }
  }
  const over = () => {
    isOver = true;
    clearInterval(timer);
  };
  // The object frees itself when it is collected: after a reset of the module, freeing it would free something else.
  ended.then(over, over);
}

/**
 * The length that an answer must have: its Content-Length, `NaN` if that is no number. `undefined` if it has none, or none that is
 * about its body (RFC 9110 §8.6).
 */
function announcedLength({ status, headers }, method) {
  const field = headers.get("content-length");
  if (field === null || method === "HEAD" || [204, 205, 304].includes(status)) return undefined;
  // The length of a body that the platform decodes is that of the encoded one.
  if (/^(?:gzip|br)$/i.test(headers.get("content-encoding") ?? "")) return undefined;
  return /^\d{1,15}$/.test(field) ? Number(field) : Number.NaN;
}

/** Whether an answer announces a length that it cannot have. */
function lies(answer, method) {
  const announced = announcedLength(answer, method);
  return Number.isNaN(announced) || (announced > 0 && answer.body === null);
}

/** Whether a Content-Length exists and is from 1 to `bytes`. */
function isLength(field, bytes) {
  const length = Number(field);
  return length > 0 && length <= bytes;
}

const EVENT_STREAM = /^text\/event-stream/i;

const isEventStream = (headers) => EVENT_STREAM.test(headers.get("content-type") ?? "");

/** A comment and its end (HTML §9.2.6). */
const COMMENT = new TextEncoder().encode(": keep-alive\n\n");

/** Whether a stream whose last bytes are these is between two events: an empty line ends an event. */
const isBetweenEvents = (tail) => tail === "" || /(?:\n\n|\r\r|\r\n\r\n)$/.test(tail);

/** The last bytes of a stream, as text, after another chunk. */
function tailOf(tail, chunk) {
  return (tail + String.fromCharCode(...chunk.subarray(-4))).slice(-4);
}

/**
 * Forwards a body chunk by chunk, and ends it if no chunk arrives for `idle` seconds (0: no limit). If the body is silent for
 * `keepAlive` seconds (0: never) between two events, it writes a comment. It ends the body after `left` milliseconds (0: no limit). Resolves to a word that says how the body ended.
 */
async function pump(body, writable, { idle, keepAlive, left }, way) {
  const reader = body.getReader();
  const writer = writable.getWriter();
  let cut;
  const stop = (why) => {
    cut ??= why;
    reader.cancel(why).catch(() => {});
  };
  way.stop = stop;
  const limit = idle > 0 ? new Limit(idle, () => stop("idle")) : undefined;
  const end =
    left > 0
      ? setTimeout(() => {
          way.isLate = true;
          stop("late");
        }, left)
      : undefined;
  let gone = false;
  let tail = "";
  let writing = false;
  const comment = () => {
    if (!gone && !writing && cut === undefined && isBetweenEvents(tail))
      writer.write(COMMENT).catch(() => {});
    silence.move(keepAlive);
  };
  const silence = keepAlive > 0 ? new Limit(keepAlive, comment) : undefined;
  writer.closed.catch(() => {
    gone = true;
    if (way.cancel || way.abandoned) stop("gone");
  });
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (cut !== undefined) throw cut;
      limit?.move(idle);
      silence?.move(keepAlive);
      if (done) break;
      if (silence !== undefined) tail = tailOf(tail, value);
      writing = true;
      if (!gone) await writer.write(value).catch(() => {});
      writing = false;
      if (gone && way.abandoned) stop("gone");
    }
    await writer.close().catch(() => {});
    return gone ? "gone" : "complete";
  } catch (error) {
    cut ??= gone ? "gone" : "lost";
    // A part of an event at the end of a stream is no event (HTML §9.2.6), so the stream can end anywhere.
    await (cut === "revoked" ? writer.close() : writer.abort(error)).catch(() => {});
    return cut;
  } finally {
    clearTimeout(end);
    limit?.stop();
    silence?.stop();
  }
}

/** Forwards a large request body: the chunk that was read first, then the rest. */
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
    // The client ended the body too early, or the origin server closed the connection: both sides are closed.
    await Promise.allSettled([writer.abort(error), reader.cancel(error)]);
  }
}
