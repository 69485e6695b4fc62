//! Tokens whose form is wrong: compact serialization, base64url, JSON, headers.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{Corpus, good, good_claims, good_header, signed, signed_bytes};

pub(super) fn add(corpus: &mut Corpus) {
    compact(corpus);
    base64url(corpus);
    headers(corpus);
    json(corpus);
}

fn compact(corpus: &mut Corpus) {
    let good = good();
    let parts: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = [parts[0], parts[1], parts[2]];
    for (name, token, reason) in [
        ("one part", header.to_owned(), "token_malformed"),
        ("two parts", format!("{header}.{claims}"), "token_malformed"),
        ("no signature (RFC 7515 A.5)", format!("{header}.{claims}."), "token_malformed"),
        ("four parts", format!("{good}.{signature}"), "token_malformed"),
        ("five parts, as JWE", format!("{good}.{signature}.{signature}"), "token_malformed"),
        ("a dot before", format!(".{good}"), "token_malformed"),
        ("a dot behind", format!("{good}."), "token_malformed"),
        ("no header", format!(".{claims}.{signature}"), "token_header_malformed"),
        ("no claims (detached, RFC 7797)", format!("{header}..{signature}"), "token_claims_not_json"),
        ("nothing but dots", "..".to_owned(), "token_malformed"),
        ("parts in another order", format!("{claims}.{header}.{signature}"), "token_algorithm"),
        ("header and signature exchanged", format!("{signature}.{claims}.{header}"), "token_header_malformed"),
        (
            "the JSON serialization",
            json!({ "payload": claims, "signature": signature }).to_string(),
            "malformed_credentials",
        ),
        ("quotes around", format!("\"{good}\""), "malformed_credentials"),
        ("a second token", format!("{good} {good}"), "malformed_credentials"),
        ("a second token after a comma", format!("{good},{good}"), "malformed_credentials"),
        ("a parameter behind", format!("{good}; realm=x"), "malformed_credentials"),
        ("a NUL behind", format!("{good}%00"), "malformed_credentials"),
        ("longer than any token", format!("{good}{}", "A".repeat(17_000)), "token_too_long"),
        ("only a scheme's name", "Bearer".to_owned(), "token_malformed"),
        ("undefined", "undefined".to_owned(), "token_malformed"),
        ("null", "null".to_owned(), "token_malformed"),
    ] {
        corpus.add(format!("form: {name}"), token, reason);
    }
}

fn base64url(corpus: &mut Corpus) {
    let good = good();
    let parts: Vec<&str> = good.split('.').collect();
    let with = |at: usize, part: String| {
        let mut parts: Vec<String> = parts.iter().map(|&part| part.to_owned()).collect();
        parts[at] = part;
        parts.join(".")
    };
    for (at, name) in ["header", "claims", "signature"].into_iter().enumerate() {
        let part = parts[at];
        let bytes = URL_SAFE_NO_PAD.decode(part).expect("base64url");
        corpus.add(
            format!("base64url: {name} with padding"),
            with(at, format!("{part}=")),
            match at {
                2 => "token_malformed",
                _ => "malformed_credentials",
            },
        );
        corpus.add(
            format!("base64url: {name} with double padding"),
            with(at, format!("{part}==")),
            match at {
                2 => "token_malformed",
                _ => "malformed_credentials",
            },
        );
        // White space at the end of a field is not part of it.
        if at < 2 {
            corpus.add(
                format!("base64url: {name} with a space"),
                with(at, format!("{part} ")),
                "malformed_credentials",
            );
        }
        corpus.add(format!("base64url: {name} with a plus"), with(at, format!("+{}", &part[1..])), "token_malformed");
        corpus.add(format!("base64url: {name} with a slash"), with(at, format!("/{}", &part[1..])), "token_malformed");
        corpus.add(format!("base64url: {name} with a tilde"), with(at, format!("{part}~")), "token_malformed");
        corpus.add(
            format!("base64url: {name} percent-encoded"),
            with(at, format!("{part}%3D")),
            "malformed_credentials",
        );
        corpus.add(
            format!("base64url: {name} of an impossible length"),
            with(at, {
                let cut = part.len() - part.len() % 4 + 1;
                let mut longer = part.to_owned();
                while longer.len() < cut {
                    longer.push('A');
                }
                longer[..cut].to_owned()
            }),
            "token_malformed",
        );
        // The last character of two and three has bits that mean nothing; they must be zero (RFC 4648 §3.5).
        if !bytes.len().is_multiple_of(3) {
            let last = part.chars().last().expect("not empty");
            let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            let next = alphabet.chars().nth(alphabet.find(last).expect("in it") + 1).expect("one more");
            let spoiled = format!("{}{next}", &part[..part.len() - 1]);
            corpus.add(format!("base64url: {name} not canonical"), with(at, spoiled), "token_malformed");
        }
    }
    // Bytes that both alphabets write differently.
    let claims = json!({ "iss": "https://login.example", "x": "???>>>~~~ÿÿ" }).to_string();
    let standard = STANDARD_NO_PAD.encode(&claims);
    corpus.add(
        "base64url: claims in the other alphabet",
        format!("{}.{standard}.{}", parts[0], parts[2]),
        "token_malformed",
    );
    let padded = URL_SAFE.encode("{\"alg\":\"EdDSA\" }");
    corpus.add(
        "base64url: header with its padding",
        format!("{padded}.{}.{}", parts[1], parts[2]),
        "malformed_credentials",
    );
}

fn headers(corpus: &mut Corpus) {
    let claims = good_claims().to_string();
    let mut with = |name: &str, member: &str, value: Value, reason: &'static str| {
        let mut header = good_header();
        header[member] = value;
        corpus.add(format!("header: {name}"), signed(&header.to_string(), &claims), reason);
    };
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    for (name, member, value) in [
        ("crit with an unknown extension", "crit", json!(["http://example.com/x"])),
        ("crit with exp", "crit", json!(["exp"])),
        ("crit that is empty", "crit", json!([])),
        ("crit that is null", "crit", json!(null)),
        ("crit that names b64", "crit", json!(["b64"])),
        ("b64 that is false (RFC 7797)", "b64", json!(false)),
        ("b64 that is true", "b64", json!(true)),
        ("jku of an attacker", "jku", json!("https://evil.example/jwks")),
        ("jku of the issuer", "jku", json!("https://login.example/jwks")),
        ("jku to a private address", "jku", json!("http://169.254.169.254/latest/meta-data")),
        ("jwk of an attacker", "jwk", jwk),
        ("jwk that is empty", "jwk", json!({})),
        ("x5u", "x5u", json!("https://evil.example/cert.pem")),
        ("x5c", "x5c", json!(["MIIB"])),
        ("x5c that is empty", "x5c", json!([])),
        ("zip", "zip", json!("DEF")),
    ] {
        with(name, member, value, "token_forbidden_header");
    }
    for (name, member, value) in [
        ("alg that is a number", "alg", json!(256)),
        ("alg that is an array", "alg", json!(["EdDSA"])),
        ("alg that is null", "alg", json!(null)),
        ("alg that is an object", "alg", json!({ "alg": "EdDSA" })),
        ("typ that is a number", "typ", json!(1)),
        ("typ that is an array", "typ", json!(["at+jwt"])),
        ("typ that is null", "typ", json!(null)),
        ("kid that is a number", "kid", json!(1)),
        ("kid that is null", "kid", json!(null)),
        ("kid that is an array", "kid", json!(["ed25519"])),
        ("kid that is an object", "kid", json!({ "$ne": "x" })),
        ("kid of 600 bytes", "kid", json!("k".repeat(600))),
    ] {
        with(name, member, value, "token_header_malformed");
    }
    for (name, kid) in [
        ("../../../../dev/null", "../../../../dev/null"),
        ("a statement of SQL", "ed25519' OR '1'='1"),
        ("a command", "ed25519|whoami"),
        ("a URL", "https://evil.example/key"),
        ("upper case", "ED25519"),
        ("a space behind", "ed25519 "),
        ("a NUL behind", "ed25519\u{0}"),
        ("a Cyrillic letter", "\u{435}d25519"),
        ("nothing", ""),
        ("a line feed and a log line", "x\n{\"decision\":\"allow\"}"),
        ("__proto__", "__proto__"),
    ] {
        with(&format!("kid is {name}"), "kid", json!(kid), "token_key_unknown");
    }
    for typ in [
        "JWT",
        "jwt",
        "id+jwt",
        "logout+jwt",
        "dpop+jwt",
        "at+jwt;x",
        "at jwt",
        "",
        "application/jwt",
        "at+jwt\u{0}",
        "\u{430}t+jwt",
        "application/application/at+jwt",
        "text/at+jwt",
        "portcullis-assertion+jwt",
    ] {
        with(&format!("typ is {typ:?}"), "typ", json!(typ), "token_type");
    }
    for typ in ["AT+JWT", "application/at+jwt", "Application/AT+jwt"] {
        with(&format!("typ is {typ:?}, as it may be"), "typ", json!(typ), "forwarded");
    }
    let without = |member: &str| {
        let mut header = good_header();
        header.as_object_mut().expect("an object").remove(member);
        signed(&header.to_string(), &good_claims().to_string())
    };
    corpus.add("header: no alg", without("alg"), "token_algorithm");
    corpus.add("header: no typ", without("typ"), "token_type");
    corpus.add("header: no kid, where one key fits", without("kid"), "forwarded");
    let mut unknown = good_header();
    for at in 0..13 {
        unknown[format!("x{at}")] = json!(at);
    }
    corpus.add("header: 16 members", signed(&unknown.to_string(), &claims), "forwarded");
    unknown["x13"] = json!(13);
    corpus.add("header: 17 members", signed(&unknown.to_string(), &claims), "token_header_malformed");
}

fn json(corpus: &mut Corpus) {
    let (header, claims) = (good_header().to_string(), good_claims().to_string());
    let inner = |text: &str| text[1..text.len() - 1].to_owned();
    let texts = |text: &str, first: &str| {
        let inner = inner(text);
        vec![
            ("a member twice", format!("{{{first},{inner}}}")),
            (
                "a member twice, once escaped",
                format!("{{{},{inner}}}", first.replacen('a', "\\u0061", 1).replacen('i', "\\u0069", 1)),
            ),
            ("a comma at the end", format!("{{{inner},}}")),
            ("a comment", format!("{{/* */{inner}}}")),
            ("single quotes", text.replace('"', "'")),
            ("names without quotes", format!("{{x:1,{inner}}}")),
            ("text behind", format!("{text}x")),
            ("a second object behind", format!("{text}{{}}")),
            ("text before", format!("x{text}")),
            ("cut short", text[..text.len() - 1].to_owned()),
            ("NaN", format!("{{\"x\":NaN,{inner}}}")),
            ("Infinity", format!("{{\"x\":-Infinity,{inner}}}")),
            ("a number with a leading zero", format!("{{\"x\":01,{inner}}}")),
            ("a number with a plus", format!("{{\"x\":+1,{inner}}}")),
            ("a hexadecimal number", format!("{{\"x\":0x1,{inner}}}")),
            ("a number too large for any reader", format!("{{\"x\":1e999,{inner}}}")),
            ("a control character in a text", format!("{{\"x\":\"\u{1}\",{inner}}}")),
            ("half a surrogate pair", format!("{{\"x\":\"\\ud800\",{inner}}}")),
            ("an unknown escape", format!("{{\"x\":\"\\q\",{inner}}}")),
            ("nested 65 deep", format!("{{\"x\":{}{},{inner}}}", "[".repeat(64), "]".repeat(64))),
            ("nested 4,000 deep", format!("{{\"x\":{}{},{inner}}}", "[".repeat(4_000), "]".repeat(4_000))),
            ("a member twice inside", format!("{{\"x\":{{\"a\":1,\"a\":2}},{inner}}}")),
            ("a member twice far inside", format!("{{\"x\":[[{{\"y\":[{{\"a\":1,\"a\":1}}]}}]],{inner}}}")),
        ]
    };
    for (name, text) in texts(&header, "\"alg\":\"none\"") {
        corpus.add(format!("header JSON: {name}"), signed(&text, &claims), "token_header_malformed");
    }
    for (name, text) in texts(&claims, "\"iss\":\"https://evil.example\"") {
        corpus.add(format!("claims JSON: {name}"), signed(&header, &text), "token_claims_not_json");
    }
    for (name, bytes) in [
        ("a byte order mark", [b"\xef\xbb\xbf", header.as_bytes()].concat()),
        ("not UTF-8", [b"{\"x\":\"\xff\",", &header.as_bytes()[1..]].concat()),
        ("an overlong encoding", [b"{\"x\":\"\xc0\xaf\",", &header.as_bytes()[1..]].concat()),
        ("an encoded surrogate", [b"{\"x\":\"\xed\xa0\x80\",", &header.as_bytes()[1..]].concat()),
        ("UTF-16", header.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("an array", b"[\"EdDSA\"]".to_vec()),
        ("a text", b"\"EdDSA\"".to_vec()),
        ("null", b"null".to_vec()),
        ("nothing", Vec::new()),
    ] {
        corpus.add(format!("header JSON: {name}"), signed_bytes(&bytes, claims.as_bytes()), "token_header_malformed");
    }
    for (name, bytes, reason) in [
        ("a byte order mark", [b"\xef\xbb\xbf", claims.as_bytes()].concat(), "token_claims_not_json"),
        ("not UTF-8", [b"{\"x\":\"\xff\",", &claims.as_bytes()[1..]].concat(), "token_claims_not_json"),
        ("an overlong encoding", [b"{\"x\":\"\xc0\xaf\",", &claims.as_bytes()[1..]].concat(), "token_claims_not_json"),
        (
            "an encoded surrogate",
            [b"{\"x\":\"\xed\xa0\x80\",", &claims.as_bytes()[1..]].concat(),
            "token_claims_not_json",
        ),
        ("UTF-16", claims.encode_utf16().flat_map(u16::to_le_bytes).collect(), "token_claims_not_json"),
        ("an array", format!("[{claims}]").into_bytes(), "token_claim_malformed"),
        ("a text", b"\"ada\"".to_vec(), "token_claim_malformed"),
        ("null", b"null".to_vec(), "token_claim_malformed"),
        ("a nested token", good().into_bytes(), "token_claims_not_json"),
    ] {
        corpus.add(format!("claims JSON: {name}"), signed_bytes(header.as_bytes(), &bytes), reason);
    }
    let spaced = format!(" \t\r\n{} ", good_claims().to_string().replace(':', " : "));
    // White space within texts is theirs: the issuer is another.
    corpus.add("claims JSON: white space around everything", signed(&header, &spaced), "token_issuer");
    let pretty = serde_json::to_string_pretty(&good_claims()).expect("JSON");
    corpus.add("claims JSON: white space where it may be", signed(&header, &pretty), "forwarded");
    let escaped = claims.replace("ada", "\\u0061da");
    corpus.add("claims JSON: escapes where they may be", signed(&header, &escaped), "forwarded");
}
