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
export const lines = (headers) => [...headers].join("\n");

/** Fields as the platform takes them: their names are all different. */
export function toHeaders(fields) {
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
 * when `step` is not needed any more. Where `step` gives an array, the body ends with what is in it; where it gives nothing,
 * the body breaks off.
 */
export function through(first, rest, step) {
  if (rest === null) return [first, Promise.resolve()];
  const stream = rest instanceof ArrayBuffer ? new Response(rest).body : rest;
  const { readable, writable } = new IdentityTransformStream();
  return [readable, carry(first, stream, writable.getWriter(), step)];
}

// With this mark the platform takes it for a connection that was lost, and writes no line of its own to the log.
const UNFIT = Object.assign(new Error("unfit"), { retryable: true });

async function carry(first, rest, writer, step) {
  const reader = rest.getReader();
  try {
    if (first.byteLength > 0) await writer.write(first);
    for (;;) {
      const { done, value } = await reader.read();
      const out = step(done ? null : value);
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
    // Broken off by either side, or not what it should be: the other side hears of it, even where it would go on without
    // its caller.
    if (error === UNFIT) rest.abandon?.();
    await Promise.allSettled([writer.abort(error), reader.cancel(error)]);
  }
}
