//! Signatures that are not quite signatures.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis::jwks::key::JwsAlgorithm;
use serde_json::json;

use super::{Corpus, good_claims};
use crate::support::{Key, token_with_header};

/// Order of the group of P-256 (FIPS 186-4 D.1.2.3).
const N256: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
/// Of P-384.
const N384: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";
/// Of P-521.
const N521: &str = concat!(
    "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "fa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
);
/// Of Ed25519 (RFC 8032 §5.1), little-endian.
const L: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hex")).collect()
}

/// A good token of a key, in two: what is signed, and the signature.
fn parts(key: Key, algorithm: JwsAlgorithm) -> (String, Vec<u8>) {
    let header = json!({ "alg": algorithm.as_str(), "typ": "at+jwt", "kid": key.name() }).to_string();
    let token = token_with_header(&header, &good_claims().to_string(), key, algorithm);
    let (input, signature) = token.rsplit_once('.').expect("dots");
    (input.to_owned(), URL_SAFE_NO_PAD.decode(signature).expect("base64url"))
}

pub(super) fn add(corpus: &mut Corpus) {
    for (key, algorithm) in [
        (Key::Rsa, JwsAlgorithm::Rs256),
        (Key::Rsa, JwsAlgorithm::Ps256),
        (Key::P256, JwsAlgorithm::Es256),
        (Key::P384, JwsAlgorithm::Es384),
        (Key::P521, JwsAlgorithm::Es512),
        (Key::Ed25519, JwsAlgorithm::EdDsa),
    ] {
        for_all(corpus, key, algorithm);
    }
    ecdsa(corpus, Key::P256, JwsAlgorithm::Es256, &hex(N256));
    ecdsa(corpus, Key::P384, JwsAlgorithm::Es384, &hex(N384));
    ecdsa(corpus, Key::P521, JwsAlgorithm::Es512, &hex(N521));
    ed25519(corpus);
    rsa(corpus);
}

fn for_all(corpus: &mut Corpus, key: Key, algorithm: JwsAlgorithm) {
    let (input, signature) = parts(key, algorithm);
    let token = |signature: &[u8]| format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature));
    let other_claims = {
        let mut claims = good_claims();
        claims["scope"] = json!("mcp:tools admin");
        let header = input.split('.').next().expect("a header");
        format!("{header}.{}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()), URL_SAFE_NO_PAD.encode(&signature))
    };
    let mut cases = vec![
        ("of other claims".to_owned(), other_claims),
        ("all zero".to_owned(), token(&vec![0; signature.len()])),
        ("all ones".to_owned(), token(&vec![0xFF; signature.len()])),
        ("one byte short".to_owned(), token(&signature[1..])),
        ("one byte long".to_owned(), token(&[signature.as_slice(), &[0]].concat())),
        ("a zero before".to_owned(), token(&[&[0], signature.as_slice()].concat())),
        ("twice".to_owned(), token(&[signature.as_slice(), &signature].concat())),
        ("one byte alone".to_owned(), token(&[1])),
        ("reversed".to_owned(), token(&signature.iter().rev().copied().collect::<Vec<u8>>())),
    ];
    for bit in [0, 7, signature.len() * 4, signature.len() * 8 - 1] {
        let mut flipped = signature.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        cases.push((format!("with bit {bit} flipped"), token(&flipped)));
    }
    for (name, token) in cases {
        corpus.add(format!("{} signature: {name}", algorithm.as_str()), token, "token_signature");
    }
}

/// Big-endian numbers of one length: `a - b`, where that is not negative.
fn minus(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut borrow = 0_i16;
    let mut result = vec![0; a.len()];
    for at in (0..a.len()).rev() {
        let difference = i16::from(a[at]) - i16::from(b[at]) - borrow;
        borrow = i16::from(difference < 0);
        result[at] = u8::try_from(difference.rem_euclid(256)).expect("a byte");
    }
    result
}

fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let pad = usize::from(bytes[0] >= 0x80);
        let mut encoded = vec![2, u8::try_from(bytes.len() + pad).expect("short")];
        encoded.extend(std::iter::repeat_n(0, pad));
        encoded.extend_from_slice(bytes);
        encoded
    };
    let body = [integer(r), integer(s)].concat();
    let length = u8::try_from(body.len()).expect("short");
    let head = if length < 0x80 { vec![0x30, length] } else { vec![0x30, 0x81, length] };
    [head, body].concat()
}

/// RFC 7515 §3.4: R and S side by side, each of the length of the order; both in 1 to n - 1 (FIPS 186-4 §6.4).
fn ecdsa(corpus: &mut Corpus, key: Key, algorithm: JwsAlgorithm, n: &[u8]) {
    let (input, signature) = parts(key, algorithm);
    let (r, s) = signature.split_at(signature.len() / 2);
    let zero = vec![0; r.len()];
    let one = {
        let mut one = zero.clone();
        *one.last_mut().expect("not empty") = 1;
        one
    };
    let high = vec![0xFF; r.len()];
    for (name, bytes) in [
        ("R zero", [&zero, s].concat()),
        ("S zero", [r, &zero].concat()),
        ("R and S zero (CVE-2022-21449)", [zero.as_slice(), &zero].concat()),
        ("R the order", [n, s].concat()),
        ("S the order", [r, n].concat()),
        ("R and S the order", [n, n].concat()),
        ("R and S one", [one.as_slice(), &one].concat()),
        ("R one", [&one, s].concat()),
        ("R beyond the order", [&high, s].concat()),
        ("S beyond the order", [r, &high].concat()),
        ("R and S exchanged", [s, r].concat()),
        ("in DER", der(r, s)),
        ("in DER, padded to its length", {
            let mut der = der(r, s);
            der.resize(signature.len(), 0);
            der
        }),
        ("of the length of the other curve", vec![1; if r.len() == 32 { 96 } else { 64 }]),
    ] {
        let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(bytes));
        corpus.add(format!("{} signature: {name}", algorithm.as_str()), token, "token_signature");
    }
    // ECDSA has two signatures of everything. It says nothing new, and RFC 7518 forbids neither.
    let other = [r, &minus(n, s)].concat();
    let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(other));
    corpus.add(format!("{} signature: S negated, which is good too", algorithm.as_str()), token, "forwarded");
}

fn ed25519(corpus: &mut Corpus) {
    let (input, signature) = parts(Key::Ed25519, JwsAlgorithm::EdDsa);
    let (r, s) = signature.split_at(32);
    // S + L is the same number for a lenient reader (RFC 8032 §5.1.7 forbids it).
    let plus_l = {
        let mut carry = 0_u16;
        let mut sum = Vec::new();
        for (a, b) in s.iter().zip(hex(L)) {
            carry += u16::from(*a) + u16::from(b);
            sum.push(u8::try_from(carry & 0xFF).expect("a byte"));
            carry >>= 8;
        }
        sum
    };
    let identity = {
        let mut point = vec![0; 32];
        point[0] = 1;
        point
    };
    let identity_not_canonical = hex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
    let off_curve = hex("0200000000000000000000000000000000000000000000000000000000000000");
    for (name, bytes) in [
        ("S + L", [r, &plus_l].concat()),
        ("S the order", [r, &hex(L)].concat()),
        ("S all ones", [r, &[0xFF; 32]].concat()),
        ("S zero", [r, &[0; 32]].concat()),
        ("R the identity", [&identity, s].concat()),
        ("R the identity and S zero", [identity.as_slice(), &[0; 32]].concat()),
        ("R the identity, not canonical", [&identity_not_canonical, s].concat()),
        ("R off the curve", [&off_curve, s].concat()),
        ("R with the other sign", {
            let mut r = r.to_vec();
            r[31] ^= 0x80;
            [&r, s].concat()
        }),
        ("R and S exchanged", [s, r].concat()),
    ] {
        let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(bytes));
        corpus.add(format!("EdDSA signature: {name}"), token, "token_signature");
    }
}

fn rsa(corpus: &mut Corpus) {
    let (input, signature) = parts(Key::Rsa, JwsAlgorithm::Rs256);
    let n = URL_SAFE_NO_PAD.decode(Key::Rsa.public_jwk()["n"].as_str().expect("n")).expect("base64url");
    let one = {
        let mut one = vec![0; n.len()];
        *one.last_mut().expect("not empty") = 1;
        one
    };
    for (name, bytes) in [
        ("zero", vec![0; n.len()]),
        ("one", one.clone()),
        ("the modulus", n.clone()),
        ("the modulus less one", minus(&n, &one)),
        ("its negative", minus(&n, &signature)),
    ] {
        let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(bytes));
        corpus.add(format!("RS256 signature: {name}"), token, "token_signature");
    }
}
