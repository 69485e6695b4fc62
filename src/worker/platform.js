// What the shell does in JavaScript: carry bodies, which WebAssembly never touches, and talk to the platform in
// one crossing where Rust would need many. Nothing is decided here.

/**
 * The head of a request: method, URL, what the platform says of the client's certificate and place, and fields, a line
 * each, a comma after their names. No part of it can hold a line feed, and no name a comma.
 */
export function head(request, certificate, place) {
  let text = `${request.method}\n${request.url}\n`;
  if (certificate) {
    const { certVerified, certRevoked, certFingerprintSHA256 } = request.cf?.tlsClientAuth ?? {};
    text += `${certVerified};${certRevoked};${certFingerprintSHA256}`;
  }
  text += "\n";
  if (place) text += `${request.cf?.country ?? ""};${request.cf?.asn ?? ""}`;
  return `${text}\n${lines(request.headers)}`;
}

/** Fields, a line each. Copied as a whole they cost a fifth of what they cost one by one. */
const lines = (headers) => [...headers].join("\n");

/** Fields as the platform takes them: their names are all different. */
function toHeaders(fields) {
  const headers = {};
  if (fields === "") return headers;
  for (const line of fields.split("\n")) {
    const comma = line.indexOf(",");
    headers[line.slice(0, comma)] = line.slice(comma + 1);
  }
  return headers;
}

/** A response with these fields and no others. */
export function response(status, fields, body) {
  return new Response(body, { status, headers: toHeaders(fields) });
}

/** Reads a stream until it ends or `bytes` are exceeded: what was read, and whether that is all. */
async function readUpTo(reader, bytes) {
  const chunks = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { complete: true, bytes: joined(chunks, size) };
    chunks.push(value);
    size += value.byteLength;
    if (size > bytes) return { complete: false, bytes: joined(chunks, size) };
  }
}

function joined(chunks, size) {
  if (chunks.length === 1) return chunks[0];
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}

/**
 * Asks an identity provider, or whoever is behind a service binding, and posts where there is something to post: status,
 * Content-Type, Cache-Control, Age, body.
 */
export async function ask(fetcher, url, fields, post, seconds, bytes) {
  const init = {
    method: post === undefined ? "GET" : "POST",
    headers: toHeaders(fields),
    body: post,
    redirect: "manual",
    signal: AbortSignal.timeout(seconds * 1000),
  };
  const answer = await (fetcher === undefined ? fetch(url, init) : fetcher.fetch(url, init));
  const body =
    answer.body === null
      ? { complete: true, bytes: new Uint8Array() }
      : await readUpTo(answer.body.getReader(), bytes);
  if (!body.complete) throw "the document is too large";
  const field = (name) => answer.headers.get(name);
  return [answer.status, field("content-type"), field("cache-control"), field("age"), body.bytes];
}

/** Waits. */
export function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** What a promise gives, where it gives it in time; else it throws a word. */
async function within(milliseconds, promise, word = "no answer in time") {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(word), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The value of a key in a KV namespace, not older than its edge must be; null where there is none. */
export async function read(store, key, bytes, edgeSeconds, milliseconds) {
  const options = { type: "arrayBuffer", cacheTtl: edgeSeconds };
  const value = await within(milliseconds, store.get(key, options));
  if (value !== null && value.byteLength > bytes) throw "the value is too large";
  return value;
}

/** Names in the cache of the place are URLs of a reserved host. */
const shared = (name) => `https://portcullis.invalid/${name}`;

/** What the cache of the place has under a name; null where it has nothing. */
export async function recall(name, milliseconds) {
  const cache = await caches.open("portcullis");
  const found = await within(milliseconds, cache.match(shared(name)));
  return found === undefined ? null : await within(milliseconds, found.arrayBuffer());
}

/** Keeps something in the cache of the place. */
export async function keep(name, value, seconds, milliseconds) {
  // The view is into WebAssembly's memory, which may move while this waits.
  const kept = new Response(value.slice(), { headers: { "cache-control": `max-age=${seconds}` } });
  const cache = await caches.open("portcullis");
  await within(milliseconds, cache.put(shared(name), kept));
}

/** Asks the object of that name in a Durable Object namespace, with a question where there is one: its answer. */
export async function consult(namespace, name, query, question, milliseconds) {
  const stub = namespace.get(namespace.idFromName(name));
  const init = question === undefined ? {} : { method: "POST", body: question };
  const answer = await within(milliseconds, stub.fetch(`https://object.invalid/?${query}`, init));
  if (answer.status !== 200) throw `status ${answer.status}`;
  return within(milliseconds, answer.text());
}

/** Whether it is a counter's turn, as a rate-limiting binding says. */
export async function limit(limiter, key, milliseconds) {
  return (await within(milliseconds, limiter.limit({ key }))).success;
}

/** Writes a data point: the first of the texts is its index. */
export function record(dataSet, [index, ...blobs], doubles) {
  dataSet.writeDataPoint({ indexes: [index], blobs, doubles: [...doubles] });
}

/** Tells a span of the platform's what became of its request; `attributes` are names and values by turns. */
export function annotate(span, name, attributes, status) {
  span.updateName(name);
  span.setAttribute("http.response.status_code", status);
  for (let at = 0; at < attributes.length; at += 2) span.setAttribute(attributes[at], attributes[at + 1]);
}

/** Sends a message to a queue. */
export function enqueue(queue, text) {
  return queue.send(text, { contentType: "text" });
}

/** The beginning of a body, and the rest of it as a stream; null where that was all. */
export async function begin(body, bytes) {
  if (body === null) return [new Uint8Array(), null];
  if (body instanceof ArrayBuffer) return [new Uint8Array(body), null];
  const reader = body.getReader();
  const read = await readUpTo(reader, bytes);
  reader.releaseLock();
  return [read.bytes, read.complete ? null : body];
}

/**
 * A body that begins with `first` and goes on with what `step` makes of each part of `rest`, and a promise that settles
 * when `step` is not needed any more. Where `step` gives nothing, the body breaks off.
 */
export function through(first, rest, step) {
  if (rest === null) return [first, Promise.resolve()];
  const stream = rest instanceof ArrayBuffer ? new Response(rest).body : rest;
  const { readable, writable } = new IdentityTransformStream();
  return [readable, carry(first, stream, writable.getWriter(), step)];
}

const UNFIT = new Error("unfit");

async function carry(first, rest, writer, step) {
  const reader = rest.getReader();
  try {
    if (first.byteLength > 0) await writer.write(first);
    for (;;) {
      const { done, value } = await reader.read();
      const out = step(done ? null : value);
      if (out === null) throw UNFIT;
      if (out.byteLength > 0) await writer.write(out);
      if (done) return await writer.close();
    }
  } catch (error) {
    // Broken off by either side, or not what it should be: the other side hears of it, even where it would go on without
    // its caller.
    if (error === UNFIT) rest.abandon?.();
    await Promise.allSettled([writer.abort(error), reader.cancel(error)]);
  }
}

const ALGORITHMS = {
  ES256: { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  ES384: { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" },
  EdDSA: { name: "Ed25519" },
  PS256: { name: "RSA-PSS", hash: "SHA-256", saltLength: 32 },
  PS384: { name: "RSA-PSS", hash: "SHA-384", saltLength: 48 },
  PS512: { name: "RSA-PSS", hash: "SHA-512", saltLength: 64 },
  RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  RS384: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-384" },
  RS512: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-512" },
};

/** Imported keys; importing costs more than checking a signature. The oldest goes when it is full. */
const keys = new Map();
const KEYS_MAX = 256;

async function importKey(jwk, algorithm, usage) {
  const name = `${usage} ${algorithm} ${jwk}`;
  const known = keys.get(name);
  if (known !== undefined) return known;
  const key = await crypto.subtle.importKey("jwk", JSON.parse(jwk), ALGORITHMS[algorithm], false, [usage]);
  if (keys.size >= KEYS_MAX) keys.delete(keys.keys().next().value);
  keys.set(name, key);
  return key;
}

const encoder = new TextEncoder();

/** Whether a signature is good; throws where that could not be checked. */
export async function verify(jwk, algorithm, signature, input) {
  // The view is into WebAssembly's memory, which may move before the promise settles.
  const copy = signature.slice();
  const key = await importKey(jwk, algorithm, "verify");
  return crypto.subtle.verify(ALGORITHMS[algorithm], key, copy, encoder.encode(input));
}

/** The signature of `input`. */
export async function sign(jwk, algorithm, input) {
  const copy = input.slice();
  const key = await importKey(jwk, algorithm, "sign");
  return crypto.subtle.sign(ALGORITHMS[algorithm], key, copy);
}

const words = (error) => (typeof error === "string" ? error : (error?.message ?? "failed"));

/** Checks a signature, and goes on with `checking`. */
export async function check(jwk, algorithm, signature, input, checking) {
  let good;
  try {
    good = await verify(jwk, algorithm, signature, input);
  } catch (error) {
    return checking.failed(words(error));
  }
  return checking.checked(good);
}

/** Signs, and goes on with `signing`. */
export async function signed(jwk, algorithm, input, signing) {
  let signature;
  try {
    signature = await sign(jwk, algorithm, input);
  } catch (error) {
    return signing.failed(words(error));
  }
  return signing.signed(new Uint8Array(signature));
}

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
