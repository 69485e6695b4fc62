//! Where the identity provider's credentials go: to hosts that configuration or the provider's own metadata names.

use portcullis::jwks::key::JwsAlgorithm;
use portcullis::oauth::form::Parameters;
use portcullis::transport::url::HttpUrl;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use super::{Scene, TOKEN_ENDPOINT, WEB, callback, document, onward, secrets};
use crate::support::{ISSUER, Key, open_with, token_with_header};

const GITHUB: &str = "https://github.acme.example/api/v3/user";

/// Every profile, with its login table and where its tokens may go.
fn profiles() -> Vec<(&'static str, Value, Vec<&'static str>)> {
    let openid = |profile: &str| json!({ "profile": profile, "userinfo_endpoint": "https://login.example/userinfo" });
    let github = |more: Value| {
        let mut login = json!({ "profile": "github", "issuer": null });
        for (name, value) in more.as_object().expect("a table") {
            login[name] = value.clone();
        }
        login
    };
    let mut all: Vec<_> = ["generic", "auth0", "entra_id", "google", "keycloak", "okta"]
        .into_iter()
        .map(|profile| (profile, openid(profile), vec!["login.example"]))
        .collect();
    all.push(("github", github(json!({})), vec!["github.com", "api.github.com"]));
    all.push((
        "github",
        github(json!({
            "authorization_endpoint": "https://github.acme.example/login/oauth/authorize",
            "token_endpoint": "https://github.acme.example/login/oauth/access_token",
            "userinfo_endpoint": GITHUB,
        })),
        vec!["github.acme.example"],
    ));
    all
}

#[wasm_bindgen_test(unsupported = test)]
fn a_providers_credentials_go_to_hosts_that_configuration_or_its_metadata_names() {
    let mut seen: Vec<&str> = Vec::new();
    for (profile, login, hosts) in profiles() {
        let scene = Scene::with(json!({}), login);
        let client = scene.client(WEB);
        let begun = scene.authorize(&client, WEB, &[]);
        let begun = scene.answer(&begun, "allow");
        let url = onward(&begun);
        let asked = Parameters::parse(url.split_once('?').expect("a query").1).expect("a form");
        let mut tokens = json!({ "access_token": "theirs", "refresh_token": "theirs too" });
        if let Some(nonce) = asked.get("nonce") {
            tokens["id_token"] = json!(scene.id_token(nonce, &json!({ "oid": "1" })));
        }
        for place in [
            TOKEN_ENDPOINT,
            "https://github.com/login/oauth/access_token",
            "https://github.acme.example/login/oauth/access_token",
        ] {
            scene.world.answer(place, Ok((200, "application/json", &tokens.to_string())));
        }
        let user = json!({ "sub": "ada", "id": 7 }).to_string();
        for place in ["https://login.example/userinfo", "https://api.github.com/user", GITHUB] {
            scene.world.answer(place, Ok((200, "application/json", &user)));
            for below in ["emails", "orgs"] {
                scene.world.answer(&format!("{place}/{below}"), Ok((200, "application/json", "[]")));
            }
        }
        let state = asked.get("state").expect("a state");
        let back = scene.browse(callback(state, &[("code", "their code"), ("iss", ISSUER)]));
        assert_eq!(back.status, 302, "{profile}: {}", back.body);
        let mut carried = 0;
        for asked in scene.world.asked() {
            let host = HttpUrl::parse(&asked.url).expect("a URL").authority().to_string();
            assert!(hosts.contains(&host.as_str()), "{profile}: a credential went to {host}: {}", asked.url);
            carried += usize::from(asked.field("authorization").contains("theirs") || asked.body.contains("code"));
        }
        assert!(carried >= 2, "{profile}: the code and the token were sent");
        seen.push(profile);
    }
    // A profile that is added has to be here too.
    let schema: Value = serde_json::from_str(include_str!("../../../docs/portcullis.schema.json")).expect("JSON");
    let names = schema["$defs"]["LoginProfileName"]["oneOf"].as_array().expect("the profiles");
    for name in names.iter().filter_map(|name| name["const"].as_str()) {
        assert!(seen.contains(&name), "{name}");
    }
    assert!(names.len() >= 7);
}

#[wasm_bindgen_test(unsupported = test)]
fn endpoints_of_a_server_of_ones_own_are_all_named() {
    let mistakes = |login: Value| {
        let document = document(json!({}), login);
        open_with(document, &secrets()).err().map(|mistakes| mistakes.to_string()).unwrap_or_default()
    };
    let own = "https://github.acme.example/login/oauth/access_token";
    let text = mistakes(json!({ "profile": "github", "issuer": null, "token_endpoint": own }));
    for key in ["authorization_endpoint", "userinfo_endpoint"] {
        assert!(text.contains(&format!("authorization_server.login.{key}: is required with token_endpoint")), "{text}");
    }
    let text = mistakes(json!({
        "profile": "github", "issuer": null, "token_endpoint": own,
        "authorization_endpoint": "https://github.acme.example/login/oauth/authorize",
        "userinfo_endpoint": "https://github.acme.example/api/v3",
    }));
    assert!(text.contains("authorization_server.login.userinfo_endpoint: must end in /user"), "{text}");
    let text = mistakes(json!({ "profile": "github" }));
    assert!(text.contains("authorization_server.login.issuer: must be left out with github"), "{text}");
}

#[wasm_bindgen_test(unsupported = test)]
fn metadata_for_logins_is_read_as_strictly_as_that_for_keys() {
    let begin = |place: &str, metadata: Value| {
        let scene = Scene::new();
        let url = format!("{ISSUER}/.well-known/openid-configuration");
        scene.world.document(&url, Ok(&json!({ "issuer": "https://other.example" }).to_string()));
        scene.world.document(&format!("{ISSUER}/.well-known/{place}"), Ok(&metadata.to_string()));
        let client = scene.client(WEB);
        let page = scene.authorize(&client, WEB, &[]);
        let begun = scene.answer(&page, "allow");
        (begun.status, scene.world.last_request()["detail"].as_str().unwrap_or_default().to_owned())
    };
    let metadata = |token: &str| {
        json!({ "issuer": ISSUER, "authorization_endpoint": "https://login.example/authorize", "token_endpoint": token,
            "jwks_uri": format!("{ISSUER}/jwks") })
    };
    // The document at OpenID's place is of another issuer: the other place has the right one.
    assert_eq!(begin("oauth-authorization-server", metadata(TOKEN_ENDPOINT)).0, 200);
    for private in ["https://10.0.0.8/token", "https://[::1]/token", "https://vault.internal/token"] {
        let (status, detail) = begin("openid-configuration", metadata(private));
        assert_eq!(status, 503, "{private}");
        assert!(detail.contains("token_endpoint is on a private host"), "{detail}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_log_says_why_an_id_token_is_not_accepted() {
    for (header, said) in [
        (json!({ "alg": "EdDSA", "kid": "ed25519", "jku": "https://x.example" }), "token_forbidden_header (jku)"),
        (json!({ "alg": "EdDSA", "kid": "ed25519", "crit": ["x"] }), "token_forbidden_header (crit)"),
    ] {
        let scene = Scene::new();
        let client = scene.client(WEB);
        let begun = scene.answer(&scene.authorize(&client, WEB, &[]), "allow");
        let url = onward(&begun);
        let asked = Parameters::parse(url.split_once('?').expect("a query").1).expect("a form");
        let claims = json!({ "iss": ISSUER, "sub": "ada", "aud": "gate", "nonce": asked.get("nonce") });
        scene.provide(&token_with_header(&header.to_string(), &claims.to_string(), Key::Ed25519, JwsAlgorithm::EdDsa));
        let state = asked.get("state").expect("a state");
        scene.browse(callback(state, &[("code", "x"), ("iss", ISSUER)]));
        let detail = scene.world.last_request()["detail"].as_str().unwrap_or_default().to_owned();
        assert_eq!(detail, format!("the ID token is not accepted: {said}"));
    }
}

/// One login: the status of the page that begins it, and what the gateway logs at its end.
fn login(scene: &Scene, header: &Value, changes: &Value) -> (u16, String) {
    let client = scene.client(WEB);
    let begun = scene.answer(&scene.authorize(&client, WEB, &[]), "allow");
    if begun.status != 200 {
        return (begun.status, scene.world.last_request()["detail"].as_str().unwrap_or_default().to_owned());
    }
    let url = onward(&begun);
    let asked = Parameters::parse(url.split_once('?').expect("a query").1).expect("a form");
    let now = scene.world.time().seconds();
    let mut claims = json!({
        "iss": ISSUER, "sub": "ada", "aud": "gate", "nonce": asked.get("nonce"), "iat": now, "exp": now + 60,
    });
    for (name, value) in changes.as_object().expect("claims") {
        claims[name] = value.clone();
    }
    scene.provide(&token_with_header(&header.to_string(), &claims.to_string(), Key::Ed25519, JwsAlgorithm::EdDsa));
    let back = scene.browse(callback(asked.get("state").expect("a state"), &[("code", "x"), ("iss", ISSUER)]));
    match super::code_of(&back) {
        Some(_) => (200, String::new()),
        None => (back.status, scene.world.last_request()["detail"].as_str().unwrap_or_default().to_owned()),
    }
}

fn header() -> Value {
    json!({ "alg": "EdDSA", "kid": "ed25519" })
}

#[wasm_bindgen_test(unsupported = test)]
fn keys_of_logins_follow_the_life_cycle_of_keys() {
    let scene = Scene::with(json!({}), json!({ "anyone": true }));
    let jwks = format!("{ISSUER}/jwks");
    let fetched = || scene.world.fetched().iter().filter(|url| **url == jwks).count();
    let good = json!({ "keys": [Key::Ed25519.public_jwk()] }).to_string();
    let error = |status: u16, detail: &str| {
        let (found, text) = login(&scene, &header(), &json!({}));
        assert!(found == status && text.contains(detail), "{found} {text}");
    };
    scene.world.document(&jwks, Err("connection refused"));
    error(302, "connection refused");
    assert!(scene.world.lines().iter().any(|line| line["reason"] == "keys_unavailable"));
    // A code is redeemed already: the next login does not wait for a pause after the failure.
    scene.world.document(&jwks, Ok(&good));
    error(200, "");
    error(200, "");
    assert_eq!(fetched(), 2);
    // The provider is down: the old keys stay in use, and the log says so.
    scene.world.document(&jwks, Err("connection refused"));
    let before = scene.world.lines().len();
    scene.world.pass(700);
    error(200, "");
    assert_eq!(fetched(), 3);
    assert!(scene.world.lines()[before..].iter().any(|line| line["reason"] == "keys_unavailable"));
    error(200, "");
    assert_eq!(fetched(), 3, "not again at once");
    // The keys change: each login with a key that the gateway does not have fetches them.
    let mut other = Key::Ed25519.public_jwk();
    other["kid"] = json!("next");
    scene.world.document(&jwks, Ok(&json!({ "keys": [other] }).to_string()));
    let next = json!({ "alg": "EdDSA", "kid": "next" });
    assert_eq!(login(&scene, &next, &json!({})).0, 200);
    assert_eq!(fetched(), 4);
    let (status, detail) = login(&scene, &json!({ "alg": "EdDSA", "kid": "unknown" }), &json!({}));
    assert!(status == 302 && detail.contains("no key for the ID token: UnknownKid"), "{status} {detail}");
    // The metadata names another place for the keys: those of the old place are forgotten.
    let metadata = json!({ "issuer": ISSUER, "authorization_endpoint": "https://login.example/authorize",
        "token_endpoint": TOKEN_ENDPOINT, "jwks_uri": format!("{ISSUER}/moved") });
    scene.world.document(&format!("{ISSUER}/.well-known/openid-configuration"), Ok(&metadata.to_string()));
    scene.world.document(&format!("{ISSUER}/moved"), Ok(&good));
    scene.world.pass(700);
    assert_eq!(login(&scene, &next, &json!({})).0, 302, "a key of the old place");
    error(200, "");
}

#[wasm_bindgen_test(unsupported = test)]
fn id_tokens_with_key_headers_where_configuration_ignores_them() {
    let mut header = header();
    header["jku"] = json!("https://evil.example/jwks");
    for (ignored, status) in [(false, 302), (true, 200)] {
        let scene = Scene::with(json!({}), json!({ "ignore_key_headers": ignored, "anyone": true }));
        assert_eq!(login(&scene, &header, &json!({})).0, status, "{ignored}");
        assert!(scene.world.fetched().iter().all(|url| !url.contains("evil")));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_provider_whose_metadata_is_elsewhere_or_nowhere() {
    let elsewhere = "https://login.example/policy/v2.0/.well-known/openid-configuration";
    let scene = Scene::with(json!({}), json!({ "metadata_url": elsewhere }));
    let (status, detail) = login(&scene, &header(), &json!({}));
    assert_eq!(status, 503);
    assert!(detail.contains(elsewhere) && !detail.contains("oauth-authorization-server"), "{detail}");
    let metadata = json!({ "issuer": ISSUER, "authorization_endpoint": "https://login.example/authorize",
        "token_endpoint": TOKEN_ENDPOINT, "jwks_uri": format!("{ISSUER}/jwks") });
    scene.world.document(elsewhere, Ok(&metadata.to_string()));
    assert_eq!(login(&scene, &header(), &json!({})).0, 200);
    let mut other = metadata.clone();
    other["issuer"] = json!("https://other.example");
    let scene = Scene::with(json!({}), json!({ "metadata_url": elsewhere }));
    scene.world.document(elsewhere, Ok(&other.to_string()));
    assert_eq!(login(&scene, &header(), &json!({})).0, 503, "metadata of another issuer");
    // Endpoints by hand: nothing is discovered.
    let scene = Scene::with(
        json!({}),
        json!({
            "authorization_endpoint": "https://login.example/authorize", "token_endpoint": TOKEN_ENDPOINT,
            "jwks_uri": format!("{ISSUER}/jwks"),
        }),
    );
    assert_eq!(login(&scene, &header(), &json!({})).0, 200);
    assert_eq!(scene.world.fetched(), [format!("{ISSUER}/jwks")]);
}

#[wasm_bindgen_test(unsupported = test)]
fn users_of_several_tenants_log_in_at_one_provider() {
    let elsewhere = "https://login.example/common/.well-known/openid-configuration";
    let template = "https://login.example/{tenantid}/v2.0";
    let scene = Scene::with(
        json!({}),
        json!({ "issuer": template, "tenants": ["t-1", "t-2"], "metadata_url": elsewhere, "anyone": true }),
    );
    let metadata = json!({ "issuer": template, "authorization_endpoint": "https://login.example/authorize",
        "token_endpoint": TOKEN_ENDPOINT, "jwks_uri": format!("{ISSUER}/jwks") });
    scene.world.document(elsewhere, Ok(&metadata.to_string()));
    let of = |tenant: &str| json!({ "iss": format!("https://login.example/{tenant}/v2.0") });
    let client = scene.client(WEB);
    let enter = |tenant: &str| {
        let begun = scene.answer(&scene.authorize(&client, WEB, &[("prompt", Some("consent"))]), "allow");
        let url = onward(&begun);
        let asked = Parameters::parse(url.split_once('?').expect("a query").1).expect("a form");
        scene.provide(&scene.id_token(asked.get("nonce").expect("a nonce"), &of(tenant)));
        let back = scene.browse(callback(asked.get("state").expect("a state"), &[("code", "x")]));
        super::code_of(&back).ok_or_else(|| scene.world.last_request()["detail"].clone())
    };
    let subject = |code: &str| {
        let tokens = scene.redeem(&client, code).json();
        let token = super::text(&tokens, "access_token").split('.').nth(1).expect("a JWT").to_owned();
        let claims = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, token);
        let claims: Value = serde_json::from_slice(&claims.expect("base64url")).expect("JSON");
        claims["sub"].clone()
    };
    assert_eq!(subject(&enter("t-1").expect("a code")), "t-1:ada");
    assert_eq!(subject(&enter("t-2").expect("a code")), "t-2:ada", "another user than that of t-1");
    for other in ["t-3", "{tenantid}", "", "t-1/x"] {
        let detail = enter(other).expect_err("no code").as_str().unwrap_or_default().to_owned();
        assert!(detail.contains("from another issuer, or from a tenant"), "{other}: {detail}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn metadata_that_is_unfit_where_nothing_needs_it() {
    let status = |more: Value| {
        let scene = Scene::new();
        let mut metadata = json!({ "issuer": ISSUER, "authorization_endpoint": "https://login.example/authorize",
            "token_endpoint": TOKEN_ENDPOINT, "jwks_uri": format!("{ISSUER}/jwks") });
        for (name, value) in more.as_object().expect("a table") {
            metadata[name] = value.clone();
        }
        scene.world.document(&format!("{ISSUER}/.well-known/openid-configuration"), Ok(&metadata.to_string()));
        let client = scene.client(WEB);
        let begun = scene.answer(&scene.authorize(&client, WEB, &[]), "allow");
        if begun.status == 200 {
            super::code_of(&scene.browse(scene.come_back(&begun))).map_or(0, |_| 200)
        } else {
            begun.status
        }
    };
    for unfit in ["http://login.example/x", "https://10.0.0.8/x", "/relative", ""] {
        let more = json!({ "userinfo_endpoint": unfit, "revocation_endpoint": unfit, "registration_endpoint": unfit });
        assert_eq!(status(more), 200, "{unfit}");
    }
    // Browsers go there, and may reach what the gateway cannot.
    assert_eq!(status(json!({ "authorization_endpoint": "https://sso.corp.internal/authorize" })), 200);
    for member in ["token_endpoint", "jwks_uri"] {
        assert_eq!(status(json!({ member: "https://sso.corp.internal/x" })), 503, "{member}");
    }
    assert_eq!(status(json!({ "authorization_endpoint": "http://login.example/authorize" })), 503);
}

#[wasm_bindgen_test(unsupported = test)]
fn subject_and_groups_are_the_claims_that_configuration_names() {
    let claims_of = |login: Value, user: Value| {
        let scene = Scene::with(json!({ "token_claims": ["groups"] }), login);
        *scene.user.borrow_mut() = user;
        let client = scene.client(WEB);
        let begun = scene.answer(&scene.authorize(&client, WEB, &[]), "allow");
        let back = scene.browse(scene.come_back(&begun));
        let code = super::code_of(&back)?;
        let token = super::text(&scene.redeem(&client, &code).json(), "access_token").to_owned();
        let claims = token.split('.').nth(1).expect("a JWT");
        let claims = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims);
        Some(serde_json::from_slice::<Value>(&claims.expect("base64url")).expect("JSON"))
    };
    let user = json!({ "sub": "1", "employee": "e-7", "groups": ["a"], "realm_access": { "roles": ["b", "c"] } });
    let claims = claims_of(json!({ "anyone": true }), user.clone()).expect("a token");
    assert_eq!((&claims["sub"], &claims["groups"]), (&json!("1"), &json!(["a"])));
    let login = json!({ "anyone": true, "subject_claim": "employee", "groups_claim": "/realm_access/roles" });
    let claims = claims_of(login.clone(), user).expect("a token");
    assert_eq!((&claims["sub"], &claims["groups"]), (&json!("e-7"), &json!(["b", "c"])));
    for employee in [Value::Null, json!(""), json!(["e-7"]), json!({ "id": 7 })] {
        assert!(claims_of(login.clone(), json!({ "sub": "1", "employee": employee })).is_none(), "{employee}");
    }
    let members = json!({ "groups_claim": "/realm_access/roles", "allowed_groups": ["b"], "anyone": false });
    for (user, admitted) in [
        (json!({ "sub": "1", "realm_access": { "roles": ["b"] } }), true),
        (json!({ "sub": "1", "groups": ["b"], "realm_access": { "roles": ["c"] } }), false),
    ] {
        assert_eq!(claims_of(members.clone(), user.clone()).is_some(), admitted, "{user}");
    }
}
