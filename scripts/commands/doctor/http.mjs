// Sends requests as clients do, and describes failures in words.

/** Seconds that a request may take: clients wait a little longer before they give up. */
const PATIENCE = 10;
const SLOW = 5_000;
const BODY_BYTES = 256 * 1024;

const WORDS = {
  ENOTFOUND: "the host name cannot be resolved",
  EAI_AGAIN: "the host name cannot be resolved",
  ECONNREFUSED: "no server listens at this address",
  ECONNRESET: "the connection was reset",
  CERT_HAS_EXPIRED: "its certificate has expired",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is self-signed",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate chain ends in a self-signed certificate that is not trusted",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "it does not send the certificate chain up to a trusted certificate",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another host name",
  EPROTO: "it does not use TLS at this port",
  ERR_SSL_WRONG_VERSION_NUMBER: "it does not use TLS at this port",
};

const TLS = /^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|ERR_TLS|EPROTO|ERR_SSL)/;

function failure(error) {
  const cause = error.cause ?? error;
  const code = cause.code ?? cause.name ?? "";
  if (error.name === "TimeoutError" || code === "UND_ERR_HEADERS_TIMEOUT")
    return { kind: "timeout", words: `no answer within ${PATIENCE} seconds` };
  return {
    kind: TLS.test(code) ? "tls" : "unreachable",
    words: WORDS[code] ?? cause.message ?? "the request failed",
  };
}

/** The beginning of a body, as text. Of an event stream only the first chunk is read. */
async function textOf(response) {
  if (response.body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += decoder.decode(value, { stream: true });
    if (text.length > BODY_BYTES || response.headers.get("content-type")?.startsWith("text/event-stream")) {
      reader.cancel().catch(() => {});
      return text;
    }
  }
}

/**
 * Sends a request. Returns `{ url, status, headers, text, json, milliseconds, slow }`, or `{ url, failed: { kind, words } }`. Does
 * not follow redirects, as a client with a token does not.
 */
export async function ask(url, { method = "GET", headers = {}, body } = {}) {
  const begun = performance.now();
  try {
    const signal = AbortSignal.timeout(PATIENCE * 1000);
    const response = await fetch(url, { method, headers, body, redirect: "manual", signal });
    const text = await textOf(response);
    const milliseconds = performance.now() - begun;
    let json;
    try {
      json = JSON.parse(text);
    } catch {
      // The body is no JSON, and `json` stays undefined.
    }
    return {
      url,
      status: response.status,
      headers: response.headers,
      text,
      json,
      milliseconds,
      slow: milliseconds > SLOW,
    };
  } catch (error) {
    return { url, failed: failure(error) };
  }
}

/** The challenges of a WWW-Authenticate field: scheme and parameters (RFC 9110 §11.6.1). */
export function challenges(field) {
  const found = [];
  const part = /(?:^|,)\s*([A-Za-z][\w-]*)(?=\s|$|,)|([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/g;
  for (const [, scheme, name, quoted, bare] of (field ?? "").matchAll(part)) {
    if (scheme) found.push({ scheme, parameters: {} });
    else if (found.length > 0)
      found.at(-1).parameters[name.toLowerCase()] = quoted?.replace(/\\(.)/g, "$1") ?? bare;
  }
  return found;
}

export const isJson = (answer) =>
  /^application\/([\w.-]+\+)?json\s*(;|$)/i.test(answer.headers?.get("content-type") ?? "");
