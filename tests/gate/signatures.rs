//! Vectors of RFCs, verified by the portable implementation; the end-to-end tests hold WebCrypto to the same tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis::jwks::key::{JwsAlgorithm, VerificationKey};
use portcullis::portable;
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
