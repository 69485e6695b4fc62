//! Vectors of RFCs, verified by the portable implementation; the end-to-end tests hold WebCrypto to the same tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis::jwks::key::{JwsAlgorithm, KeyError, VerificationKey};
use portcullis::portable;
use portcullis::time::UnixMillis;
use portcullis::token::binding::proof::{Expected, Proof, ProofError};
use portcullis::token::error::TokenError;
use portcullis::token::untrusted::UntrustedToken;
use portcullis::transport::url::HttpUrl;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

fn check(jwk: &Value, algorithm: JwsAlgorithm, token: &str) -> bool {
    let key = VerificationKey::parse(jwk).expect("the key is fit");
    assert!(key.fits(algorithm));
    let (input, signature) = token.rsplit_once('.').expect("compact form");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    portable::verify(key.jwk(), algorithm, input.as_bytes(), &signature).expect("the check works")
}

fn good_and_no_other(jwk: &Value, algorithm: JwsAlgorithm, token: &str) {
    assert!(check(jwk, algorithm, token));
    let (input, signature) = token.rsplit_once('.').expect("compact form");
    assert!(!check(jwk, algorithm, &format!("{input}x.{signature}")));
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    bytes[0] ^= 1;
    assert!(!check(jwk, algorithm, &format!("{input}.{}", URL_SAFE_NO_PAD.encode(&bytes))));
    bytes.pop();
    assert!(!check(jwk, algorithm, &format!("{input}.{}", URL_SAFE_NO_PAD.encode(&bytes))));
    assert!(!check(jwk, algorithm, &format!("{input}.")));
}

/// RFC 7515, appendix A.2.
#[wasm_bindgen_test(unsupported = test)]
fn rs256() {
    let jwk = json!({ "kty": "RSA", "e": "AQAB", "n": concat!(
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMs",
        "D1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdV",
        "MTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    ) });
    let token = concat!(
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.",
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZ",
        "cAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-e",
        "OkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    );
    good_and_no_other(&jwk, JwsAlgorithm::Rs256, token);
}

/// RFC 7515, appendix A.3.
#[wasm_bindgen_test(unsupported = test)]
fn es256() {
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" });
    let token = concat!(
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.",
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    );
    good_and_no_other(&jwk, JwsAlgorithm::Es256, token);
}

/// RFC 7520, sections 4.1 and 4.2: the payload is a text, which no access token is.
#[wasm_bindgen_test(unsupported = test)]
fn rfc_7520() {
    let jwk = json!({ "kty": "RSA", "kid": "bilbo.baggins@hobbiton.example", "use": "sig", "e": "AQAB", "n": concat!(
        "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_Ns",
        "YOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCu",
        "EHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw",
    ) });
    let payload = concat!(
        "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlm",
        "IHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4",
    );
    let rs256 = format!(
        "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.{payload}.{}",
        concat!(
            "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA7818",
            "5hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_",
            "de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg",
        )
    );
    let ps384 = format!(
        "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.{payload}.{}",
        concat!(
            "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhi",
            "USMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2X",
            "ez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw",
        )
    );
    good_and_no_other(&jwk, JwsAlgorithm::Rs256, &rs256);
    good_and_no_other(&jwk, JwsAlgorithm::Ps384, &ps384);
    for token in [rs256, ps384] {
        assert!(matches!(UntrustedToken::parse(&token), Err(TokenError::ClaimsNotJson(_))));
    }
}

/// RFC 7515, appendix A.4.
#[wasm_bindgen_test(unsupported = test)]
fn es512() {
    let jwk = json!({
        "kty": "EC", "crv": "P-521",
        "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
        "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
    });
    let token = concat!(
        "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.",
        "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7Xdt",
        "AG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
    );
    good_and_no_other(&jwk, JwsAlgorithm::Es512, token);
}

/// RFC 9864 §2.2: `Ed25519` is the algorithm that `EdDSA` is with this key.
#[wasm_bindgen_test(unsupported = test)]
fn ed25519_has_two_names() {
    for name in ["EdDSA", "Ed25519"] {
        assert_eq!(JwsAlgorithm::parse(name), Some(JwsAlgorithm::EdDsa), "{name}");
        let mut jwk = crate::support::Key::Ed25519.public_jwk();
        jwk["alg"] = json!(name);
        assert!(VerificationKey::parse(&jwk).expect("the key is fit").fits(JwsAlgorithm::EdDsa));
    }
    for other in ["ed25519", "Ed448", "ESP256"] {
        assert_eq!(JwsAlgorithm::parse(other), None, "{other}");
    }
}

/// What RFC 7515 (A.1, A.5) and RFC 7520 (4.4) sign in other ways: symmetric, and not at all.
#[wasm_bindgen_test(unsupported = test)]
fn what_is_not_verified_here() {
    for algorithm in ["HS256", "ES256K", "none"] {
        assert_eq!(JwsAlgorithm::parse(algorithm), None, "{algorithm}");
    }
    // RFC 7515, appendix A.5.
    let unsecured = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.";
    assert!(matches!(UntrustedToken::parse(unsecured), Err(TokenError::Malformed)));
    let secp256k1 = json!({
        "kty": "EC", "crv": "secp256k1",
        "x": "dWCvM4fTdeM0KmloF57zxtBPXTOythHPMm1HCLrdd3A", "y": "36uMVGM7hnw-N6GnjFcihWE3SkrhMLzzLCdPMXPEXlA",
    });
    assert_eq!(VerificationKey::parse(&secp256k1).err(), Some(KeyError::UnknownType));
    // RFC 7520 §3.5.
    let symmetric = json!({ "kty": "oct", "alg": "HS256", "k": "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg" });
    assert_eq!(VerificationKey::parse(&symmetric).err(), Some(KeyError::UnknownAlgorithm));
}

/// RFC 9449, sections 4.1, 6.1 and 7.1.
#[wasm_bindgen_test(unsupported = test)]
fn rfc_9449() {
    let header = concat!(
        "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQy",
        "VVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19",
    );
    let proof = format!(
        "{header}.{}.{}",
        concat!(
            "eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNv",
            "dXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9",
        ),
        "2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
    );
    let urls = [HttpUrl::parse("https://resource.example.org/protectedresource").expect("a URL")];
    let expected = |method, token, jkt, seconds: u64| Expected {
        method,
        urls: &urls,
        token: Some(token),
        jkt: Some(jkt),
        window: 60,
        now: UnixMillis(seconds * 1000),
    };
    let (token, jkt) = ("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU", "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    let read = Proof::read(Some(&proof), &expected("GET", token, jkt, 1_562_262_618)).expect("all is as it should be");
    let check = read.signature(None).expect("the size fits").expect("not checked yet");
    let good = |input: &str| portable::verify(check.key.jwk(), check.algorithm, input.as_bytes(), &check.signature);
    assert_eq!(good(&check.signing_input), Ok(true));
    assert_eq!(good(&format!("{}x", check.signing_input)), Ok(false));
    for (expected, error) in [
        (expected("POST", token, jkt, 1_562_262_618), ProofError::Method),
        (expected("GET", "another", jkt, 1_562_262_618), ProofError::AccessTokenHash),
        (expected("GET", token, "another", 1_562_262_618), ProofError::OtherKey),
        (expected("GET", token, jkt, 1_562_262_700), ProofError::Expired),
    ] {
        assert_eq!(Proof::read(Some(&proof), &expected).err(), Some(error));
    }
    // The one for the token endpoint (§4.1) proves nothing of an access token.
    let at_token_endpoint = format!(
        "{header}.{}.{}",
        "eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ",
        "2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg",
    );
    let urls = [HttpUrl::parse("https://server.example.com/token").expect("a URL")];
    let expected = Expected { urls: &urls, ..expected("POST", token, jkt, 1_562_262_616) };
    assert_eq!(Proof::read(Some(&at_token_endpoint), &expected).err(), Some(ProofError::Claims));
}

/// RFC 8037, appendix A.4.
#[wasm_bindgen_test(unsupported = test)]
fn eddsa() {
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    let token = concat!(
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.",
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    );
    good_and_no_other(&jwk, JwsAlgorithm::EdDsa, token);
}

/// RFC 7638 §3.1.
#[wasm_bindgen_test(unsupported = test)]
fn thumbprints() {
    let jwk = json!({ "kty": "RSA", "kid": "2011-04-29", "alg": "RS256", "e": "AQAB", "n": concat!(
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMst",
        "n64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajr",
        "n1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    ) });
    assert_eq!(VerificationKey::parse(&jwk).expect("fit").thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}
