// The gateway's seal of session ids (`src/mcp/session.rs`), made a second time: for ids that are older than any test
// can wait, and to look into those that the gateway made. XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha).
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from "node:crypto";

const rotate = (value, by) => ((value << by) | (value >>> (32 - by))) >>> 0;

function quarter(s, a, b, c, d) {
  for (const [x, y, z, by] of [
    [a, b, d, 16],
    [c, d, b, 12],
    [a, b, d, 8],
    [c, d, b, 7],
  ]) {
    s[x] = (s[x] + s[y]) >>> 0;
    s[z] = rotate(s[z] ^ s[x], by);
  }
}

/** HChaCha20: the key for what follows from the first 16 bytes of a nonce. */
function subkey(key, nonce) {
  const words = (bytes) => Array.from({ length: bytes.length / 4 }, (_, at) => bytes.readUInt32LE(at * 4));
  const s = [...words(Buffer.from("expand 32-byte k")), ...words(key), ...words(nonce)];
  for (let round = 0; round < 10; round += 1) {
    for (let at = 0; at < 4; at += 1) quarter(s, at, at + 4, at + 8, at + 12);
    for (let at = 0; at < 4; at += 1)
      quarter(s, at, 4 + ((at + 1) % 4), 8 + ((at + 2) % 4), 12 + ((at + 3) % 4));
  }
  const out = Buffer.alloc(32);
  for (const [at, word] of [...s.slice(0, 4), ...s.slice(12)].entries()) out.writeUInt32LE(word, at * 4);
  return out;
}

const keyOf = (secret) => createHmac("sha256", secret).update("portcullis session v1").digest();

function boundTo({ issuer, subject = "ada", client = "test-client", resource }, purpose) {
  const parts = [issuer, subject, client, resource].flatMap((part) => {
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(Buffer.byteLength(part)));
    return [length, Buffer.from(part)];
  });
  return Buffer.concat([Buffer.from(purpose), Buffer.from([1]), ...parts]);
}

const open = (make, secret, nonce, holder, purpose) => {
  const short = Buffer.concat([Buffer.alloc(4), nonce.subarray(16)]);
  const cipher = make("chacha20-poly1305", subkey(keyOf(secret), nonce.subarray(0, 16)), short, {
    authTagLength: 16,
  });
  return cipher.setAAD(boundTo(holder, purpose), { plaintextLength: 0 });
};

/** Seals `value` as if that had been at `since`, in seconds. */
export function seal(secret, value, holder, { since = Math.floor(Date.now() / 1000), purpose = "s" } = {}) {
  const nonce = randomBytes(24);
  const cipher = open(createCipheriv, secret, nonce, holder, purpose);
  const moment = Buffer.alloc(8);
  moment.writeBigUInt64BE(BigInt(since));
  const sealed = Buffer.concat([cipher.update(Buffer.concat([moment, Buffer.from(value)])), cipher.final()]);
  return Buffer.concat([nonce, sealed, cipher.getAuthTag()]).toString("base64url");
}

/** What was sealed, and when. Throws where it was for somebody else. */
export function unseal(secret, sealed, holder, purpose = "s") {
  const bytes = Buffer.from(sealed, "base64url");
  const decipher = open(createDecipheriv, secret, bytes.subarray(0, 24), holder, purpose);
  decipher.setAuthTag(bytes.subarray(-16));
  const plain = Buffer.concat([decipher.update(bytes.subarray(24, -16)), decipher.final()]);
  return { since: Number(plain.readBigUInt64BE()), value: plain.subarray(8).toString() };
}
