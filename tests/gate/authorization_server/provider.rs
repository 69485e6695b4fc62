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
