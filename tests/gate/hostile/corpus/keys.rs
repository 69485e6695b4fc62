//! Keys and algorithms that do not belong together, and key sets that are attacks themselves.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use portcullis::jwks::key::JwsAlgorithm;
use serde_json::{Value, json};
use sha2::{Sha256, Sha384, Sha512};

use super::{Corpus, good, good_claims};
use crate::support::{Key, token_with_header};

pub(super) fn add(corpus: &mut Corpus) {
    confusion(corpus);
    symmetric(corpus);
    restricted(corpus);
    sets(corpus);
    rsa(corpus);
    elliptic(corpus);
    edwards(corpus);
}

fn of(key: Key, alg: &str, signed_with: JwsAlgorithm) -> String {
    let header = json!({ "alg": alg, "typ": "at+jwt", "kid": key.name() }).to_string();
    token_with_header(&header, &good_claims().to_string(), key, signed_with)
}

/// Every algorithm with every key.
fn confusion(corpus: &mut Corpus) {
    for key in Key::ALL {
        let natural = key.algorithms()[0];
        for algorithm in JwsAlgorithm::ALL {
            let alg = algorithm.as_str();
            if key.algorithms().contains(&algorithm) {
                corpus.add(
                    format!("confusion: {alg} with the {} key", key.name()),
                    of(key, alg, algorithm),
                    "forwarded",
                );
                for &other in key.algorithms().iter().filter(|other| **other != algorithm) {
                    let name = format!("confusion: {alg} in the header, signed with {}", other.as_str());
                    corpus.add(name, of(key, alg, other), "token_signature");
                }
            } else {
                let name = format!("confusion: {alg} with the {} key", key.name());
                corpus.add(name, of(key, alg, natural), "token_key_does_not_fit");
            }
        }
        if key == Key::Ed25519 {
            // RFC 9864 §2.2: the newer name of the same algorithm.
            let name = "confusion: Ed25519 with the ed25519 key".to_owned();
            corpus.add(name, of(key, "Ed25519", JwsAlgorithm::EdDsa), "forwarded");
        }
        for alg in [
            "none",
            "None",
            "NONE",
            "nOnE",
            "",
            "eddsa",
            "es256",
            "Rs256",
            "RS256 ",
            " RS256",
            "RS256\u{0}",
            "ES256K",
            "es512",
            "RS1",
            "RSA1_5",
            "Ed448",
            "\u{415}S256",
            "dir",
            "A128KW",
            "PS256,RS256",
        ] {
            let name = format!("algorithm {alg:?} with the {} key", key.name());
            corpus.add(name, of(key, alg, natural), "token_algorithm");
        }
    }
}

/// HMAC with what is public as the secret.
fn symmetric(corpus: &mut Corpus) {
    for key in Key::ALL {
        let jwk = key.public_jwk();
        let n = jwk.get("n").or(jwk.get("x")).and_then(Value::as_str).expect("a parameter").to_owned();
        let raw = URL_SAFE_NO_PAD.decode(&n).expect("base64url");
        let secrets: [(&str, Vec<u8>); 6] = [
            ("the JWK", jwk.to_string().into_bytes()),
            ("the parameter", n.clone().into_bytes()),
            ("the parameter's bytes", raw.clone()),
            (
                "a PEM of it",
                format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&raw))
                    .into_bytes(),
            ),
            ("nothing", Vec::new()),
            ("the word secret", b"secret".to_vec()),
        ];
        for (what, secret) in secrets {
            for alg in ["HS256", "HS384", "HS512"] {
                let header = json!({ "alg": alg, "typ": "at+jwt", "kid": key.name() }).to_string();
                let input =
                    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(good_claims().to_string()));
                let mac = match alg {
                    "HS256" => Hmac::<Sha256>::new_from_slice(&secret)
                        .map(|mac| mac.chain_update(&input).finalize().into_bytes().to_vec()),
                    "HS384" => Hmac::<Sha384>::new_from_slice(&secret)
                        .map(|mac| mac.chain_update(&input).finalize().into_bytes().to_vec()),
                    _ => Hmac::<Sha512>::new_from_slice(&secret)
                        .map(|mac| mac.chain_update(&input).finalize().into_bytes().to_vec()),
                };
                let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(mac.expect("any length")));
                corpus.add(format!("symmetric: {alg} with {what} of the {} key", key.name()), token, "token_algorithm");
            }
        }
    }
}

/// Keys that say what they are for.
fn restricted(corpus: &mut Corpus) {
    let token = of(Key::Rsa, "RS256", JwsAlgorithm::Rs256);
    let mut with = |name: &str, member: &str, value: Value, reason: &'static str| {
        let mut jwk = Key::Rsa.public_jwk();
        jwk[member] = value;
        corpus.add_with_keys(
            format!("restricted key: {name}"),
            token.clone(),
            json!([jwk, Key::P256.public_jwk()]),
            reason,
        );
    };
    with("for RS256", "alg", json!("RS256"), "forwarded");
    for alg in ["RS384", "RS512", "PS256", "PS384", "PS512"] {
        with(&format!("for {alg}"), "alg", json!(alg), "token_key_does_not_fit");
    }
    for alg in ["ES256", "EdDSA", "RSA-OAEP", "HS256", "none", ""] {
        with(&format!("for {alg:?}"), "alg", json!(alg), "token_key_unusable");
    }
    with("alg that is a number", "alg", json!(256), "token_key_unusable");
    with("for encryption", "use", json!("enc"), "token_key_unusable");
    with("use that is a number", "use", json!(1), "token_key_unusable");
    with("key_ops without verify", "key_ops", json!(["sign"]), "token_key_unusable");
    with("key_ops that is empty", "key_ops", json!([]), "token_key_unusable");
    with("key_ops that is a text", "key_ops", json!("verify"), "token_key_unusable");
    with("key_ops with verify", "key_ops", json!(["verify"]), "forwarded");
    with("kty in lower case", "kty", json!("rsa"), "token_key_unusable");
    with("kty of another type", "kty", json!("EC"), "token_key_unusable");
    with("kty oct", "kty", json!("oct"), "token_key_unusable");
    with("kty that is missing", "kty", json!(null), "token_key_unusable");
    with("a private exponent", "d", Key::Rsa.private_jwk()["d"].clone(), "token_key_unusable");
    with("kid of another type", "kid", json!(7), "token_key_unknown");
}

fn sets(corpus: &mut Corpus) {
    let good = good();
    let (ed, rsa) = (Key::Ed25519.public_jwk(), Key::Rsa.public_jwk());
    let mut second = Key::Rsa.public_jwk();
    second["kid"] = json!("ed25519");
    let mut nameless = ed.clone();
    nameless.as_object_mut().expect("an object").remove("kid");
    corpus.add_with_keys("key set: the same key twice", good.clone(), json!([ed, ed]), "forwarded");
    corpus.add_with_keys(
        "key set: the id of two keys, of which one fits",
        good.clone(),
        json!([ed, second]),
        "forwarded",
    );
    corpus.add_with_keys(
        "key set: a key without an id, for a token with one",
        good.clone(),
        json!([nameless, rsa]),
        "token_key_unknown",
    );
    corpus.add_with_keys(
        "key set: entries that are no keys",
        good.clone(),
        json!([7, null, "x", [], {}, ed]),
        "forwarded",
    );
    corpus.add_with_keys("key set: no entries", good.clone(), json!([]), "issuer_unavailable");
    corpus.add_with_keys(
        "key set: only a symmetric key",
        good.clone(),
        json!([{ "kty": "oct", "k": "AAAA", "kid": "ed25519" }]),
        "issuer_unavailable",
    );
    let mut many: Vec<Value> = (0..64)
        .map(|at| {
            let mut key = rsa.clone();
            key["kid"] = json!(format!("k{at}"));
            key
        })
        .collect();
    many.push(ed.clone());
    corpus.add_with_keys("key set: the key behind 64 others", good.clone(), json!(many), "token_key_unknown");
    let header = json!({ "alg": "RS256", "typ": "at+jwt" }).to_string();
    let token = token_with_header(&header, &good_claims().to_string(), Key::Rsa, JwsAlgorithm::Rs256);
    let other = Key::OtherRsa.public_jwk();
    corpus.add_with_keys(
        "key set: a token without an id, and two keys",
        token,
        json!([rsa, other]),
        "token_key_ambiguous",
    );
    let foreign = of(Key::OtherRsa, "RS256", JwsAlgorithm::Rs256);
    corpus.add("key set: signed with a key that is not in it", foreign, "token_key_unknown");
    let header = json!({ "alg": "RS256", "typ": "at+jwt", "kid": "rsa" }).to_string();
    let stolen = token_with_header(&header, &good_claims().to_string(), Key::OtherRsa, JwsAlgorithm::Rs256);
    corpus.add("key set: signed with a stranger's key under a known id", stolen, "token_signature");
}

fn rsa(corpus: &mut Corpus) {
    let token = of(Key::Rsa, "RS256", JwsAlgorithm::Rs256);
    let good = Key::Rsa.public_jwk();
    let n = URL_SAFE_NO_PAD.decode(good["n"].as_str().expect("n")).expect("base64url");
    let mut with = |name: &str, member: &str, value: Value, reason: &'static str| {
        let mut jwk = good.clone();
        jwk[member] = value;
        corpus.add_with_keys(format!("RSA key: {name}"), token.clone(), json!([jwk, Key::P256.public_jwk()]), reason);
    };
    let bytes = |bytes: &[u8]| json!(URL_SAFE_NO_PAD.encode(bytes));
    for (name, e) in [
        ("exponent 0", vec![0]),
        ("exponent 1", vec![1]),
        ("exponent 2", vec![2]),
        ("exponent 65536", vec![1, 0, 0]),
        ("exponent with a leading zero", vec![0, 1, 0, 1]),
        ("exponent of 2^32 + 1", vec![1, 0, 0, 0, 1]),
        ("exponent of 256 bytes", n.clone()),
        ("exponent of nothing", vec![]),
    ] {
        with(name, "e", bytes(&e), "token_key_unusable");
    }
    with("exponent 3 of another key", "e", bytes(&[3]), "token_signature");
    with("exponent that is a number", "e", json!(65537), "token_key_unusable");
    with("exponent in the other alphabet", "e", json!("AQAB=="), "token_key_unusable");
    let even = {
        let mut n = n.clone();
        *n.last_mut().expect("not empty") &= 0xFE;
        n
    };
    for (name, n) in [
        ("modulus of nothing", vec![]),
        ("modulus 1", vec![1]),
        ("modulus of 1024 bits", n[..128].to_vec()),
        ("modulus of 2047 bits", {
            let mut n = n.clone();
            n[0] = 0x7F;
            n
        }),
        ("modulus that is even", even),
        ("modulus with a leading zero", [&[0], n.as_slice()].concat()),
        ("modulus of 8200 bits", [&[0xFF; 1024], &[1_u8][..]].concat()),
        ("modulus of 65,536 bits", vec![0xFF; 8192]),
    ] {
        with(name, "n", bytes(&n), "token_key_unusable");
    }
    with("modulus that is missing", "n", json!(null), "token_key_unusable");
    with("modulus that is an array", "n", json!([1, 2]), "token_key_unusable");
    with("modulus with white space", "n", json!(format!(" {}", good["n"].as_str().expect("n"))), "token_key_unusable");
    let weak = Key::WeakRsa.public_jwk();
    let mut named = weak.clone();
    named["kid"] = json!("rsa");
    corpus.add_with_keys(
        "RSA key: a real one of 1024 bits",
        of(Key::Rsa, "RS256", JwsAlgorithm::Rs256),
        json!([named, Key::P256.public_jwk()]),
        "token_key_unusable",
    );
}

fn elliptic(corpus: &mut Corpus) {
    for (key, algorithm, other) in [
        (Key::P256, JwsAlgorithm::Es256, Key::P384),
        (Key::P384, JwsAlgorithm::Es384, Key::P256),
        (Key::P521, JwsAlgorithm::Es512, Key::P384),
    ] {
        let token = of(key, algorithm.as_str(), algorithm);
        let good = key.public_jwk();
        let coordinate =
            |name: &str| URL_SAFE_NO_PAD.decode(good[name].as_str().expect("a coordinate")).expect("base64url");
        let (x, y) = (coordinate("x"), coordinate("y"));
        let mut with = |name: &str, changes: Value, reason: &'static str| {
            let mut jwk = good.clone();
            for (member, value) in changes.as_object().expect("an object") {
                jwk[member] = value.clone();
            }
            let name = format!("EC key of {}: {name}", key.name());
            corpus.add_with_keys(name, token.clone(), json!([jwk, Key::Rsa.public_jwk()]), reason);
        };
        let text = |bytes: &[u8]| json!(URL_SAFE_NO_PAD.encode(bytes));
        with("its coordinates exchanged", json!({ "x": text(&y), "y": text(&x) }), "token_key_unusable");
        with("off the curve", json!({ "y": text(&{ let mut y = y.clone(); y[5] ^= 1; y }) }), "token_key_unusable");
        with("at zero", json!({ "x": text(&vec![0; x.len()]), "y": text(&vec![0; y.len()]) }), "token_key_unusable");
        with("beyond the field", json!({ "x": text(&vec![0xFF; x.len()]) }), "token_key_unusable");
        with("x too short", json!({ "x": text(&x[1..]) }), "token_key_unusable");
        with("x too long", json!({ "x": text(&[&[0], x.as_slice()].concat()) }), "token_key_unusable");
        with("x of nothing", json!({ "x": "" }), "token_key_unusable");
        with("no y", json!({ "y": null }), "token_key_unusable");
        with("the name of the other curve", json!({ "crv": other.public_jwk()["crv"] }), "token_key_unusable");
        for crv in ["p-256", "P256", "p-521", "secp256k1", "Ed25519", ""] {
            with(&format!("curve {crv:?}"), json!({ "crv": crv }), "token_key_unusable");
        }
        with("its private part", json!({ "d": key.private_jwk()["d"] }), "token_key_unusable");
        // The point on the other side has the same x: another key.
        with(
            "its negative y is another point, or none",
            json!({ "y": text(&{ let mut y = y.clone(); let last = y.len() - 1; y[last] ^= 1; y }) }),
            "token_key_unusable",
        );
    }
}

fn edwards(corpus: &mut Corpus) {
    let token = good();
    let good = Key::Ed25519.public_jwk();
    let mut with = |name: &str, changes: Value, reason: &'static str| {
        let mut jwk = good.clone();
        for (member, value) in changes.as_object().expect("an object") {
            jwk[member] = value.clone();
        }
        corpus.add_with_keys(
            format!("Ed25519 key: {name}"),
            token.clone(),
            json!([jwk, Key::Rsa.public_jwk()]),
            reason,
        );
    };
    let hex = |text: &str| {
        let bytes: Vec<u8> =
            (0..32).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hex")).collect();
        json!(URL_SAFE_NO_PAD.encode(bytes))
    };
    // Points of small order, canonical and not, with either sign: anybody can sign for them.
    for point in [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ] {
        with(&format!("of small order, {point}"), json!({ "x": hex(point) }), "token_key_unusable");
    }
    with("too short", json!({ "x": URL_SAFE_NO_PAD.encode([7; 31]) }), "token_key_unusable");
    with("too long", json!({ "x": URL_SAFE_NO_PAD.encode([7; 33]) }), "token_key_unusable");
    with("of nothing", json!({ "x": "" }), "token_key_unusable");
    for crv in ["Ed448", "X25519", "ed25519", "P-256", ""] {
        with(&format!("curve {crv:?}"), json!({ "crv": crv }), "token_key_unusable");
    }
    with("its private part", json!({ "d": Key::Ed25519.private_jwk()["d"] }), "token_key_unusable");
}
