// The parts of the shell that are JavaScript: they forward bodies, which WebAssembly never touches, and they call the platform in
// one crossing where Rust would need many. Nothing is decided here.

/** What the platform states about a connection, on one line: a Worker that calls the gateway may put any text there. */
const line = (text) => text.replaceAll("\n", " ");

/**
 * The head of a request, one line each: method, URL, the platform's statements about the client certificate and the location of
 * the client, and each field as `name,value`. No part can contain a line feed, and no field name a comma.
 */
export function head(request, certificate, place) {
  let text = `${request.method}\n${request.url}\n`;
  if (certificate) {
    const { certVerified, certRevoked, certFingerprintSHA256, certSubjectDNRFC2253 } =
      request.cf?.tlsClientAuth ?? {};
    text += line(`${certVerified};${certRevoked};${certFingerprintSHA256};${certSubjectDNRFC2253 ?? ""}`);
  }
  text += "\n";
  if (place) text += line(`${request.cf?.country ?? ""};${request.cf?.asn ?? ""}`);
  return `${text}\n${lines(request.headers)}`;
}

/**
 * A function that continues with an object of the WebAssembly module. It reports an exception to `entry.js`, which has to know
 * whether the module can still be used.
 */
export const guarded =
  (work) =>
  (...values) => {
    try {
      return work(...values);
    } catch (error) {
      reportError(error);
      throw error;
    }
  };

/** Fields, one on each line. To copy them as one text costs a fifth of copying them one by one. */
export const lines = (headers) => [...headers].join("\n");

/** Fields as the platform accepts them, from lines whose names are all different. */
export function toHeaders(fields) {
  const headers = {};
  if (fields === "") return headers;
  for (const line of fields.split("\n")) {
    const comma = line.indexOf(",");
    headers[line.slice(0, comma)] = line.slice(comma + 1);
  }
  return headers;
}

/**
 * JSON in canonical form (RFC 8785): JSON.stringify writes numbers and strings as it demands, and the default order of an array's
 * items is that of its members.
 */
export function canonicalJson(text) {
  const write = (value) => {
    // JSON.stringify writes null for a number that is too large.
    if (typeof value === "number" && !Number.isFinite(value)) throw new RangeError("no canonical form");
    if (value === null || typeof value !== "object") return JSON.stringify(value);
    if (Array.isArray(value)) return `[${value.map(write).join()}]`;
    const members = Object.keys(value).sort();
    return `{${members.map((name) => `${JSON.stringify(name)}:${write(value[name])}`).join()}}`;
  };
  return write(JSON.parse(text));
}

/** A response with these fields and no others. */
export function response(status, fields, body) {
  return new Response(body, { status, headers: toHeaders(fields) });
}

/** Reads a stream until it ends or exceeds `bytes`. Returns what was read, and whether it is complete. */
export async function readUpTo(reader, bytes) {
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
 * Sends a request to an identity provider or, with `fetcher`, over a service binding: a POST with the body `post`, or a GET without
 * one. Returns status, Content-Type, Cache-Control, Age, WWW-Authenticate and body.
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
  const said = ["content-type", "cache-control", "age", "www-authenticate"].map((name) =>
    answer.headers.get(name),
  );
  return [answer.status, ...said, body.bytes];
}

/** Resolves after a time. */
export function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** The value of a promise. Throws `word` if the promise does not settle in time. */
export async function within(milliseconds, promise, word = "no answer in time") {
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

/** The value of a key in a KV namespace, from a cache for at most `edgeSeconds`; null if the key does not exist. */
export async function read(store, key, bytes, edgeSeconds, milliseconds) {
  const options = { type: "arrayBuffer", cacheTtl: edgeSeconds };
  const value = await within(milliseconds, store.get(key, options));
  if (value !== null && value.byteLength > bytes) throw "the value is too large";
  return value;
}

/** Keys in the data-center (colo) cache are URLs of a reserved host. */
const shared = (name) => `https://portcullis.invalid/${name}`;

/** The value under a name in the data-center (colo) cache; null if there is none. */
export async function recall(name, milliseconds) {
  const cache = await caches.open("portcullis");
  const found = await within(milliseconds, cache.match(shared(name)));
  return found === undefined ? null : await within(milliseconds, found.arrayBuffer());
}

/** Stores a value in the data-center (colo) cache. */
export async function keep(name, value, seconds, milliseconds) {
  // `value` is a view of WebAssembly's memory, which may move while this function waits.
  const kept = new Response(value.slice(), { headers: { "cache-control": `max-age=${seconds}` } });
  const cache = await caches.open("portcullis");
  await within(milliseconds, cache.put(shared(name), kept));
}

/**
 * Sends a request to the named object of a Durable Object namespace, with `question` as its body if there is one. Returns the
 * text of the response.
 */
export async function consult(namespace, name, query, question, milliseconds) {
  const stub = namespace.get(namespace.idFromName(name));
  const init = question === undefined ? {} : { method: "POST", body: question };
  const answer = await within(milliseconds, stub.fetch(`https://object.invalid/?${query}`, init));
  const text = await within(milliseconds, answer.text());
  if (answer.status !== 200) throw `${text} (status ${answer.status})`;
  return text;
}

/** Whether a rate-limiting binding lets the call pass. */
export async function limit(limiter, key, milliseconds) {
  return (await within(milliseconds, limiter.limit({ key }))).success;
}

/** Writes a data point; the first text is its index. */
export function record(dataSet, [index, ...blobs], doubles) {
  dataSet.writeDataPoint({ indexes: [index], blobs, doubles: [...doubles] });
}

/** Adds the outcome of a request to its span; `attributes` has names and values in turn. */
export function annotate(span, name, attributes, status) {
  span.updateName(name);
  span.setAttribute("http.response.status_code", status);
  for (let at = 0; at < attributes.length; at += 2) span.setAttribute(attributes[at], attributes[at + 1]);
}

/** Sends a message to a queue. */
export function enqueue(queue, text) {
  return queue.send(text, { contentType: "text" });
}

/** A whole body in one piece, which costs a filter less than its chunks. Throws a word as {@link begin} does. */
function whole(body) {
  return new Promise((resolve, reject) => {
    const listening = body.whenGone?.(() => reject("gone"));
    new Response(body)
      .arrayBuffer()
      .then(
        (read) => resolve(new Uint8Array(read)),
        () => reject("unreachable"),
      )
      .finally(() => listening?.());
  });
}

/**
 * The beginning of a body, and the rest as a stream, or null if there is no more. Throws a word if it broke off, or the client
 * disconnected.
 */
export async function begin(body, bytes) {
  if (body === null) return [new Uint8Array(), null];
  if (body.isSmall) return [await whole(body), null];
  const reader = body.getReader();
  let gone = false;
  // The platform ends a body with its client only where it carries it.
  const listening = body.whenGone?.(() => {
    gone = true;
    reader.cancel(UNFIT).catch(() => {});
  });
  try {
    const read = await readUpTo(reader, bytes);
    if (gone) throw "gone";
    reader.releaseLock();
    return [read.bytes, read.complete ? null : body];
  } catch {
    if (body.isLate?.()) throw "timeout";
    throw gone ? "gone" : "unreachable";
  } finally {
    listening?.();
  }
}

/** A whole body of at most `bytes`. Throws a word if it is longer, or as {@link begin} does. A filter may have it in one piece. */
export async function entire(body, bytes) {
  const [read, rest] = body instanceof Uint8Array ? [body, null] : await begin(body, bytes);
  if (rest === null && read.byteLength <= bytes) return read;
  discard(rest);
  throw "too large";
}

/** Ends a body that is not needed. */
export function discard(body) {
  body?.abandon?.();
  body?.cancel().catch(() => {});
}

/**
 * A body that begins with `first` and continues with the result of `step` for each chunk of `rest`, and a promise that settles when
 * `step` is no longer needed. It gets `null` at the end, and a word if the rest does not arrive in time. If `step` returns an array, the body ends with the chunk in it; if it returns null, the body is
 * aborted.
 */
export function through(first, body, step) {
  // A filter may have had the body in one piece.
  const rest = body instanceof Uint8Array ? new Response(body).body : body;
  if (rest === null) return [first, Promise.resolve()];
  const { readable, writable } = new IdentityTransformStream();
  return [readable, carry(first, rest, writable.getWriter(), step)];
}

/** Most bytes of an event that is held until it is whole. A stream with a larger one ends. */
const EVENT_BYTES = 1024 * 1024;
/** Milliseconds after which the end of one stream ends all of them, so that the client opens them again. */
const SETTLED = 10_000;

/**
 * An event stream that begins with `first`, has the events of all `bodies`, each of them whole, and ends with `last`; and a promise
 * that settles when it has ended: when all of them have, when one of them has after some time, or when the client has left.
 */
export function eventsOfAll(first, last, bodies) {
  const { readable, writable } = new IdentityTransformStream();
  const writer = writable.getWriter();
  return [readable, join(first, last, bodies, writer)];
}

async function join(first, last, bodies, writer) {
  const readers = bodies.map((body) => body.getReader());
  const leave = () => {
    for (const reader of readers) reader.cancel(UNFIT).catch(() => {});
  };
  writer.closed.catch(leave);
  const opened = Date.now();
  const pass = async (reader) => {
    await passEvents(reader, writer);
    if (Date.now() - opened >= SETTLED) leave();
  };
  try {
    if (first.byteLength > 0) await writer.write(first);
    await Promise.all(readers.map(pass));
    if (last.byteLength > 0) await writer.write(last);
    await writer.close();
  } catch (error) {
    leave();
    await writer.abort(error).catch(() => {});
  }
}

/** Writes the events of a stream, as soon as each is whole. A stream that breaks off ends there, and takes no other with it. */
async function passEvents(reader, writer) {
  let held = [];
  let size = 0;
  let tail = 0;
  for (;;) {
    const { done, value } = await reader.read().catch(() => ({ done: true }));
    if (done) return;
    const end = endOfEvents(value, tail);
    tail = value.at(-1);
    if (end === 0) {
      held.push(value);
      size += value.byteLength;
      if (size > EVENT_BYTES) return void reader.cancel(UNFIT).catch(() => {});
      continue;
    }
    held.push(value.subarray(0, end));
    await writer.write(joined(held, size + end));
    held = end < value.byteLength ? [value.subarray(end)] : [];
    size = value.byteLength - end;
  }
}

/**
 * Where the last whole event ends in a chunk: after an empty line. `before` is the last byte of the chunk before it. The core writes
 * lines that end in LF.
 */
function endOfEvents(bytes, before) {
  for (let at = bytes.byteLength - 1; at >= 0; at--) {
    if (bytes[at] === 10 && (at === 0 ? before : bytes[at - 1]) === 10) return at + 1;
  }
  return 0;
}

// `retryable` makes the platform treat this as a lost connection, so that it writes no error of its own to the log.
const UNFIT = Object.assign(new Error("unfit"), { retryable: true });

async function carry(first, rest, writer, step) {
  const reader = rest.getReader();
  let gone = false;
  // The next write, which would detect the disconnect, can be far away.
  const listening = rest.whenGone?.(() => {
    gone = true;
    reader.cancel(UNFIT).catch(() => {});
  });
  try {
    if (first.byteLength > 0) await writer.write(first);
    for (;;) {
      const { done, value } = await reader.read();
      if (gone) throw UNFIT;
      let out = step(done ? null : value);
      if (out instanceof Promise) out = await out;
      if (out === null) throw UNFIT;
      const [bytes, last] = Array.isArray(out) ? [out[0], true] : [out, done];
      if (bytes.byteLength > 0) await writer.write(bytes);
      if (!last) continue;
      if (!done) {
        rest.abandon?.();
        reader.cancel(UNFIT).catch(() => {});
      }
      return await writer.close();
    }
  } catch (error) {
    // What the client gets in place of a response that is not complete in time.
    const end = rest.isLate?.() ? step("late") : null;
    if (end !== null)
      return await writer.write(end).then(
        () => writer.close(),
        () => {},
      );
    // One side closed the body, or `step` aborted it: close both sides, even where the origin server's response would continue
    // without its client.
    if (error === UNFIT) rest.abandon?.();
    await Promise.allSettled([writer.abort(error), reader.cancel(error)]);
  } finally {
    listening?.();
  }
}
