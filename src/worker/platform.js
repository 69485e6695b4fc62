// What the shell does in JavaScript: carry bodies, which WebAssembly never touches, and talk to the platform in
// one crossing where Rust would need many. Nothing is decided here.

/** The head of a request: method, URL and fields, a line each. No part of it can hold a line feed. */
export function head(request) {
  let text = `${request.method}\n${request.url}`;
  for (const [name, value] of request.headers) text += `\n${name}:${value}`;
  return text;
}

function toHeaders(fields) {
  const headers = new Headers();
  if (fields === "") return headers;
  for (const line of fields.split("\n")) {
    const colon = line.indexOf(":");
    headers.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return headers;
}

/** A response with these fields and no others. */
export function response(status, fields, body) {
  return new Response(body, { status, headers: toHeaders(fields) });
}

/** Reads a stream to its end, or to `bytes`: then it throws. */
async function readAll(stream, bytes, tooLarge) {
  const chunks = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.byteLength;
    if (size > bytes) throw tooLarge;
    chunks.push(chunk);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}

/** Gets a document of an identity provider: status, Cache-Control, Age, body. */
export async function get(url, seconds, bytes) {
  const answer = await fetch(url, {
    headers: { accept: "application/json" },
    redirect: "manual",
    signal: AbortSignal.timeout(seconds * 1000),
  });
  const body =
    answer.body === null ? new Uint8Array() : await readAll(answer.body, bytes, "the document is too large");
  return [answer.status, answer.headers.get("cache-control"), answer.headers.get("age"), body];
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

/**
 * One request on its way to the origin server, and the answer on its way back.
 *
 * A body of known and small size is complete before it is sent on: half a message never reaches the origin server,
 * and a refusal can still name the request's id. Any other body streams.
 */
export class Exchange {
  #request;
  #keep;
  #kept = null;
  #end;

  constructor(request, keep) {
    this.#request = request;
    this.#keep = keep;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** The body, complete, where it is known to have at most `bytes`; null where it is not, or was sent already. */
  async peek(bytes) {
    if (this.#kept !== null) return this.#kept;
    const { body, bodyUsed } = this.#request;
    if (body === null || bodyUsed) return null;
    try {
      return await readAll(body, bytes, "too large");
    } catch {
      return null;
    }
  }

  async #outboundBody(limit, abort) {
    const { body, headers } = this.#request;
    if (body === null || limit === 0) return null;
    const length = headers.get("content-length");
    if (length === null) return bounded(body, limit, abort);
    if (Number(length) > this.#keep) return body;
    try {
      this.#kept = await readAll(body, this.#keep, "body too large");
    } catch {
      throw "body cut short";
    }
    if (this.#kept.byteLength !== Number(length)) throw "body cut short";
    return this.#kept;
  }

  /** Sends the request; the answer's status, fields and body. Throws a word where there is none. */
  async send(fetcher, method, url, fields, [bytes, responseSeconds, idleSeconds], cancel) {
    const abort = new AbortController();
    const gone = () => abort.abort("gone");
    if (cancel) this.#request.signal.addEventListener("abort", gone);
    const timer = setTimeout(() => abort.abort("timeout"), responseSeconds * 1000);
    try {
      const body = await this.#outboundBody(bytes, abort);
      const init = { method, headers: toHeaders(fields), body, redirect: "manual", signal: abort.signal };
      const answer = await (fetcher === undefined ? fetch(url, init) : fetcher.fetch(url, init));
      let lines = "";
      for (const [name, value] of answer.headers) lines += `${lines && "\n"}${name}:${value}`;
      return [answer.status, lines, this.#watched(answer.body, idleSeconds, abort, cancel)];
    } catch (error) {
      this.#end("unanswered");
      if (error === "body cut short") throw error;
      throw typeof abort.signal.reason === "string" ? abort.signal.reason : "unreachable";
    } finally {
      clearTimeout(timer);
    }
  }

  /** The answer's body, cut where it is silent for too long, and told of where it breaks. */
  #watched(body, idleSeconds, abort, cancel) {
    if (body === null) {
      this.#end("complete");
      return null;
    }
    const { readable, writable } = new IdentityTransformStream();
    pump(body.getReader(), writable.getWriter(), idleSeconds * 1000, abort, cancel).then(this.#end);
    return readable;
  }
}

/** Carries a body on, chunk by chunk; how it ended. */
async function pump(reader, writer, idle, abort, cancel) {
  let callerGone = false;
  writer.closed.catch(() => {
    callerGone = true;
    // In the old era the request goes on without its caller, who may come back for the answer.
    if (cancel) abort.abort("gone");
  });
  for (;;) {
    const timer = setTimeout(() => abort.abort("idle"), idle);
    let chunk;
    try {
      chunk = await reader.read();
    } catch (error) {
      const how = abort.signal.reason === "idle" ? "idle" : callerGone ? "gone" : "lost";
      await writer.abort(error).catch(() => {});
      return how;
    } finally {
      clearTimeout(timer);
    }
    try {
      if (chunk.done) {
        await writer.close();
        return "complete";
      }
      await writer.write(chunk.value);
    } catch {
      if (chunk.done || cancel) {
        if (cancel) abort.abort("gone");
        return "gone";
      }
    }
  }
}

/** A body of unknown size, cut at `bytes`. */
function bounded(body, bytes, abort) {
  let size = 0;
  const counter = new TransformStream({
    transform(chunk, controller) {
      size += chunk.byteLength;
      if (size > bytes) abort.abort("body too large");
      else controller.enqueue(chunk);
    },
  });
  return body.pipeThrough(counter);
}
