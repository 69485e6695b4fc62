//! Tokens whose claims are wrong: types, times, confusables.

use serde_json::{Value, json};

use super::{Corpus, END, good_claims, good_header, signed};
use crate::support::world::NOON;
use crate::support::{ISSUER, RESOURCE};

fn with(claim: &str, value: Value) -> String {
    let mut claims = good_claims();
    claims[claim] = value;
    signed(&good_header().to_string(), &claims.to_string())
}

/// With a number as it is written here.
fn with_number(claim: &str, digits: &str) -> String {
    let mut claims = good_claims();
    claims[claim] = json!("@");
    signed(&good_header().to_string(), &claims.to_string().replace("\"@\"", digits))
}

pub(super) fn add(corpus: &mut Corpus) {
    types(corpus);
    missing(corpus);
    times(corpus);
    confusables(corpus);
    other_tokens(corpus);
}

fn types(corpus: &mut Corpus) {
    let malformed = "token_claim_malformed";
    let kinds = [
        ("null", json!(null)),
        ("a number", json!(7)),
        ("true", json!(true)),
        ("an object", json!({ "a": "b" })),
        ("an empty array", json!([])),
        ("an array of numbers", json!([7])),
        ("an array of arrays", json!([["x"]])),
    ];
    for (claim, reasons) in [
        ("iss", ["token_issuer"; 7]),
        ("sub", [malformed; 7]),
        ("client_id", [malformed; 7]),
        ("jti", [malformed; 7]),
        ("scope", [malformed, malformed, malformed, malformed, "insufficient_scope", malformed, malformed]),
        ("aud", [malformed, malformed, malformed, malformed, "token_audience", malformed, malformed]),
        ("exp", [malformed, "token_expired", malformed, malformed, malformed, malformed, malformed]),
        ("nbf", [malformed, "forwarded", malformed, malformed, malformed, malformed, malformed]),
        ("iat", [malformed, "forwarded", malformed, malformed, malformed, malformed, malformed]),
        ("cnf", ["token_sender_constrained"; 7]),
    ] {
        for ((name, value), reason) in kinds.iter().zip(reasons) {
            corpus.add(format!("claims: {claim} is {name}"), with(claim, value.clone()), reason);
        }
    }
    for (claim, reason) in [
        ("iss", "token_issuer"),
        ("sub", "token_claim_missing"),
        ("aud", "token_audience"),
        ("scope", "insufficient_scope"),
        ("client_id", "forwarded"),
        ("jti", "forwarded"),
    ] {
        corpus.add(format!("claims: {claim} is empty"), with(claim, json!("")), reason);
    }
    for (name, aud, reason) in [
        ("another resource", json!("https://gate.example/other"), "token_audience"),
        ("the host alone", json!("https://gate.example"), "token_audience"),
        ("the resource with a slash", json!(format!("{RESOURCE}/")), "token_audience"),
        ("the resource in upper case", json!(RESOURCE.to_uppercase()), "token_audience"),
        ("the resource over http", json!("http://gate.example/mcp"), "token_audience"),
        ("a pattern", json!("https://gate.example/*"), "token_audience"),
        ("the resource among others", json!(["x", RESOURCE]), "forwarded"),
        ("the resource in a text of several", json!(format!("x {RESOURCE}")), "token_audience"),
        ("the resource beside a number", json!([RESOURCE, 7]), "token_claim_malformed"),
        ("the resource as a name", json!({ RESOURCE: true }), "token_claim_malformed"),
    ] {
        corpus.add(format!("claims: aud is {name}"), with("aud", aud), reason);
    }
    let mut many = good_claims();
    for at in 0..121 {
        many[format!("c{at}")] = json!(at);
    }
    corpus.add("claims: 129 of them", signed(&good_header().to_string(), &many.to_string()), "token_claims_too_many");
}

fn missing(corpus: &mut Corpus) {
    for (claim, reason) in [
        ("iss", "token_issuer"),
        ("sub", "token_claim_missing"),
        ("aud", "token_claim_missing"),
        ("exp", "token_claim_missing"),
        ("scope", "insufficient_scope"),
        ("iat", "forwarded"),
        ("jti", "forwarded"),
        ("client_id", "forwarded"),
    ] {
        let mut claims = good_claims();
        claims.as_object_mut().expect("an object").remove(claim);
        corpus.add(format!("claims: no {claim}"), signed(&good_header().to_string(), &claims.to_string()), reason);
    }
    corpus.add("claims: none at all", signed(&good_header().to_string(), "{}"), "token_issuer");
}

fn times(corpus: &mut Corpus) {
    let malformed = "token_claim_malformed";
    for (digits, exp, nbf, iat) in [
        ("0", "token_expired", "forwarded", "forwarded"),
        ("-0", "token_expired", "forwarded", "forwarded"),
        ("-1", malformed, malformed, malformed),
        ("-0.5", malformed, malformed, malformed),
        ("1.5", "token_expired", "forwarded", "forwarded"),
        ("1e9", "token_expired", "forwarded", "forwarded"),
        ("1e10", "forwarded", "token_not_yet_valid", "token_issued_in_future"),
        ("4102444800.75", "forwarded", "token_not_yet_valid", "token_issued_in_future"),
        ("253402300799", "forwarded", "token_not_yet_valid", "token_issued_in_future"),
        ("253402300800", malformed, malformed, malformed),
        ("9007199254740993", malformed, malformed, malformed),
        ("9223372036854775807", malformed, malformed, malformed),
        ("9223372036854775808", malformed, malformed, malformed),
        ("18446744073709551615", malformed, malformed, malformed),
        ("18446744073709551616", malformed, malformed, malformed),
        ("-9223372036854775809", malformed, malformed, malformed),
        ("1e20", malformed, malformed, malformed),
        ("1e308", malformed, malformed, malformed),
        // In milliseconds, as some write them.
        ("4102444800000", malformed, malformed, malformed),
        ("\"4102444800\"", malformed, malformed, malformed),
        ("\"2100-01-01T00:00:00Z\"", malformed, malformed, malformed),
        ("[4102444800]", malformed, malformed, malformed),
    ] {
        for (claim, reason) in [("exp", exp), ("nbf", nbf), ("iat", iat)] {
            corpus.add(format!("times: {claim} is {digits}"), with_number(claim, digits), reason);
        }
    }
    let long_ago = NOON - 1_000_000;
    corpus.add(
        "times: over before it began",
        signed(&good_header().to_string(), &{
            let mut claims = good_claims();
            claims["nbf"] = json!(END);
            claims["exp"] = json!(long_ago);
            claims.to_string()
        }),
        "token_expired",
    );
}

fn confusables(corpus: &mut Corpus) {
    for (name, iss) in [
        ("with a slash", format!("{ISSUER}/")),
        ("in upper case", ISSUER.to_uppercase()),
        ("over http", ISSUER.replace("https", "http")),
        ("with a port", format!("{ISSUER}:443")),
        ("with a space behind", format!("{ISSUER} ")),
        ("with a line feed behind", format!("{ISSUER}\n")),
        ("with a NUL behind", format!("{ISSUER}\u{0}")),
        ("with a path", format!("{ISSUER}/tenant")),
        ("as the end of another", format!("https://evil.example/{ISSUER}")),
        ("as user information", "https://login.example@evil.example".to_owned()),
        ("with a Cyrillic o", ISSUER.replace('o', "\u{43e}")),
        ("with a zero-width space", format!("{ISSUER}\u{200b}")),
        ("with a soft hyphen", ISSUER.replace("login", "lo\u{ad}gin")),
        ("with full-width letters", ISSUER.replace("login", "\u{ff4c}\u{ff4f}\u{ff47}\u{ff49}\u{ff4e}")),
        ("with a right-to-left mark", format!("\u{200f}{ISSUER}")),
        ("with an ideographic full stop", ISSUER.replace('.', "\u{3002}")),
        ("percent-encoded", ISSUER.replace("login", "%6cogin")),
    ] {
        corpus.add(format!("confusable: iss {name}"), with("iss", json!(iss)), "token_issuer");
    }
    for (name, aud) in [
        ("with a Cyrillic a", RESOURCE.replace('a', "\u{430}")),
        ("with a zero-width joiner", format!("{RESOURCE}\u{200d}")),
        ("with a NUL behind", format!("{RESOURCE}\u{0}")),
        ("with a dot segment", RESOURCE.replace("/mcp", "/./mcp")),
        ("percent-encoded", RESOURCE.replace("/mcp", "/%6dcp")),
        ("with a query", format!("{RESOURCE}?")),
        ("with a fragment", format!("{RESOURCE}#")),
    ] {
        corpus.add(format!("confusable: aud {name}"), with("aud", json!(aud)), "token_audience");
    }
    for (name, scope) in [
        ("in upper case", "MCP:TOOLS"),
        ("with a Cyrillic c", "m\u{441}p:tools"),
        ("with a comma", "mcp:tools,admin"),
        ("with a tab between", "x\tmcp:tools"),
        ("with a full-width space between", "x\u{3000}mcp:tools"),
        ("with a no-break space between", "x\u{a0}mcp:tools"),
        ("with a quote", "mcp:tools\""),
        ("with a backslash", "mcp:tools\\"),
        ("as the beginning of another", "mcp:tools2"),
        ("as a family that is none", "mcp"),
    ] {
        corpus.add(format!("confusable: scope {name}"), with("scope", json!(scope)), "insufficient_scope");
    }
    for (claim, name) in
        [("\u{435}xp", "exp with a Cyrillic letter"), ("EXP", "exp in upper case"), ("exp ", "exp with a space")]
    {
        let mut claims = good_claims();
        let end = claims.as_object_mut().expect("an object").remove("exp").expect("exp");
        claims[claim] = end;
        corpus.add(
            format!("confusable: {name}"),
            signed(&good_header().to_string(), &claims.to_string()),
            "token_claim_missing",
        );
    }
    corpus.add("confusable: scope among spaces", with("scope", json!("  mcp:tools  ")), "forwarded");
    corpus.add("confusable: __proto__ among the claims", with("__proto__", json!({ "scope": "x" })), "forwarded");
}

fn other_tokens(corpus: &mut Corpus) {
    for claim in ["nonce", "at_hash", "c_hash", "s_hash"] {
        corpus.add(format!("an ID token, by its {claim}"), with(claim, json!("x")), "token_is_id_token");
    }
    corpus.add("an ID token, by its token_use", with("token_use", json!("id")), "token_is_id_token");
    corpus.add("an ID token, by its typ among the claims", with("typ", json!("ID")), "token_is_id_token");
}
