//! The grant of assertions: ID-JAGs of a company's identity provider, and assertions of workloads.

use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

const COMPANY: &str = "https://idp.acme.example";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const CLUSTER: &str = "https://kubernetes.default.svc";

fn server() -> Value {
    json!({
        "trusted_issuers": [
            { "name": "acme", "issuer": COMPANY, "id_jag": { "allowed_groups": ["staff"] } },
            {
                "name": "cluster", "issuer": CLUSTER, "jwks": json!({ "keys": [Key::P256.public_jwk()] }).to_string(),
                "token_claims": ["/kubernetes.io/namespace"],
            },
        ],
        "token_claims": ["groups", "email"],
        "entitlements": [{ "scopes": ["files:write"], "groups": ["acme|writers"] }],
        "clients": [
            {
                "client_id": "agent", "token_endpoint_auth_method": "client_secret_post", "secret": "MACHINE",
                "grant_types": [JWT_BEARER],
            },
            { "client_id": "open", "redirect_uris": [WEB] },
            {
                "client_id": "job", "scopes": ["mcp:tools"],
                "workload": {
                    "issuer": "cluster", "subject": "system:serviceaccount:prod:*",
                    "claims": { "/kubernetes.io/namespace": ["prod"] },
                },
            },
        ],
    })
}

fn scene() -> Scene {
    with(server())
}

fn with(server: Value) -> Scene {
    let scene = Scene::with(server, json!({}));
    publish(&scene);
    scene
}

fn publish(scene: &Scene) {
    let metadata = json!({ "issuer": COMPANY, "jwks_uri": format!("{COMPANY}/keys") });
    scene.world.document(&format!("{COMPANY}/.well-known/openid-configuration"), Ok(&metadata.to_string()));
    let keys = json!({ "keys": [Key::Ed25519.public_jwk()] });
    scene.world.document(&format!("{COMPANY}/keys"), Ok(&keys.to_string()));
}

impl Scene {
    fn signed(header: Value, claims: Value, changes: &Value, key: Key) -> String {
        let (mut header, mut claims) = (header, claims);
        for (name, value) in changes.as_object().expect("a table") {
            let place = if name == "typ" || name == "crit" || name == "kid" { &mut header } else { &mut claims };
            match value {
                Value::Null => drop(place.as_object_mut().expect("a table").remove(name)),
                value => place[name] = value.clone(),
            }
        }
        let algorithm = if key == Key::P256 { JwsAlgorithm::Es256 } else { JwsAlgorithm::EdDsa };
        token_with_header(&header.to_string(), &claims.to_string(), key, algorithm)
    }

    /// An ID-JAG for Ada, with these changes; `null` leaves a member out.
    fn id_jag(&self, changes: &Value) -> String {
        let now = self.world.time().seconds();
        let claims = json!({
            "iss": COMPANY, "aud": PUBLIC, "sub": "ada", "client_id": "agent", "resource": RESOURCE,
            "jti": format!("{now} {changes}"), "iat": now, "exp": now + 300, "auth_time": now - 60,
            "scope": "mcp:tools files:write", "groups": ["staff"],
        });
        Self::signed(
            json!({ "alg": "EdDSA", "kid": "ed25519", "typ": "oauth-id-jag+jwt" }),
            claims,
            changes,
            Key::Ed25519,
        )
    }

    fn exchange(&self, assertion: &str, more: &[(&str, &str)]) -> Reply {
        let known =
            [("grant_type", JWT_BEARER), ("assertion", assertion), ("client_id", "agent"), ("client_secret", SECRET)];
        let mut parameters: Vec<_> =
            known.into_iter().filter(|(name, _)| !more.iter().any(|(it, _)| it == name)).collect();
        parameters.extend(more);
        parameters.retain(|(_, value)| !value.is_empty());
        self.token(&parameters)
    }

    /// Error and description of a refusal.
    fn refused(reply: &Reply) -> (u16, String, String) {
        let body = reply.json();
        (reply.status, text(&body, "error").to_owned(), text(&body, "error_description").to_owned())
    }

    /// The assertion of a pod, with these changes.
    fn pod(&self, changes: &Value) -> String {
        let now = self.world.time().seconds();
        let claims = json!({
            "iss": CLUSTER, "aud": [PUBLIC], "sub": "system:serviceaccount:prod:agent", "iat": now, "exp": now + 3607,
            "kubernetes.io": { "namespace": "prod" },
        });
        Self::signed(json!({ "alg": "ES256", "kid": "p256" }), claims, changes, Key::P256)
    }

    fn run(&self, assertion: &str, more: &[(&str, &str)]) -> Reply {
        let mut parameters = vec![("grant_type", JWT_BEARER), ("assertion", assertion)];
        parameters.extend(more);
        self.token(&parameters)
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_id_jag_becomes_a_token_without_a_consent_page() {
    let scene = scene();
    let metadata = scene.call(Request::get("/.well-known/oauth-authorization-server")).json();
    assert_eq!(
        metadata["authorization_grant_profiles_supported"],
        json!(["urn:ietf:params:oauth:grant-profile:id-jag"])
    );
    assert!(metadata["grant_types_supported"].as_array().expect("a list").contains(&json!(JWT_BEARER)));
    let reply = scene.exchange(&scene.id_jag(&json!({})), &[]);
    assert_eq!(reply.status, 200, "{}", reply.body);
    let tokens = reply.json();
    assert_eq!(tokens.get("refresh_token"), None, "the provider decides again each time");
    assert_eq!((text(&tokens, "scope"), text(&tokens, "token_type")), ("mcp:tools", "Bearer"));
    let claims = claims_of(&tokens);
    for (name, value) in [
        ("sub", json!("acme|ada")),
        ("client_id", json!("agent")),
        ("aud", json!(RESOURCE)),
        ("groups", json!(["acme|staff"])),
        ("auth_time", json!(NOON - 60)),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    assert_eq!(scene.use_it(&tokens), 200);
    let more = scene.exchange(&scene.id_jag(&json!({ "groups": ["staff", "writers"], "resource": [RESOURCE] })), &[]);
    assert_eq!(text(&more.json(), "scope"), "files:write mcp:tools");
    let less = scene.exchange(&scene.id_jag(&json!({ "jti": "less" })), &[("scope", "mcp:tools admin")]);
    assert_eq!(text(&less.json(), "scope"), "mcp:tools");
    let default = scene.exchange(&scene.id_jag(&json!({ "scope": null })), &[]);
    assert_eq!(text(&default.json(), "scope"), "mcp:tools", "what the resource requires");
    let none = scene.exchange(&scene.id_jag(&json!({ "scope": "files:write" })), &[]);
    assert_eq!(text(&none.json(), "error"), "invalid_scope");
    // Clients send the URL of the server with a slash, and hosts in any case (R14).
    for changes in [
        json!({ "aud": format!("{PUBLIC}/") }),
        json!({ "aud": [PUBLIC], "jti": "list" }),
        json!({ "resource": RESOURCE.replace("https://gate", "HTTPS://Gate") }),
    ] {
        let reply = scene.exchange(&scene.id_jag(&changes), &[]);
        assert_eq!(reply.status, 200, "{changes}: {}", reply.body);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_id_jag_that_is_not_for_this_client_server_or_resource_is_refused() {
    let scene = scene();
    let now = NOON;
    for (changes, why) in [
        (json!({ "aud": "https://other.example" }), "another server"),
        (json!({ "aud": [PUBLIC, "https://other.example"] }), "another server"),
        (json!({ "aud": null }), "another server"),
        (json!({ "aud": format!("{PUBLIC}//") }), "another server"),
        (json!({ "client_id": "job" }), "another client"),
        (json!({ "client_id": null }), "another client"),
        (json!({ "resource": null }), "one resource"),
        (json!({ "resource": "https://gate.example/other" }), "one resource"),
        (json!({ "resource": [RESOURCE, "https://other.example"] }), "one resource"),
        (json!({ "iss": "https://idp.evil.example" }), "issuer that is not trusted"),
        (json!({ "iss": CLUSTER }), "issuer that is not trusted"),
        (json!({ "typ": "jwt" }), "issuer that is not trusted"),
        (json!({ "typ": null }), "issuer that is not trusted"),
        (json!({ "crit": ["exp"] }), "not a JWT"),
        (json!({ "kid": "unknown" }), "does not publish"),
        (json!({ "exp": now - 30 }), "expired"),
        (json!({ "exp": null }), "expired"),
        (json!({ "exp": now + 7231 }), "within 7200 seconds"),
        (json!({ "iat": now + 31 }), "not valid yet"),
        (json!({ "iat": null }), "no iat"),
        (json!({ "nbf": now + 31 }), "not valid yet"),
        (json!({ "jti": null }), "jti"),
        (json!({ "jti": "" }), "jti"),
        (json!({ "jti": "j".repeat(256) }), "jti"),
        (json!({ "sub": null }), "no subject"),
        (json!({ "sub": "" }), "no subject"),
        (json!({ "groups": ["guests"] }), "may not use"),
        (json!({ "cnf": { "x5t#S256": "x" } }), "the claim cnf"),
        (json!({ "cnf": {} }), "the claim cnf"),
        (json!({ "authorization_details": [] }), "the claim authorization_details"),
        (json!({ "scope": ["mcp:tools"] }), "scope is not a string"),
    ] {
        let (status, error, description) = Scene::refused(&scene.exchange(&scene.id_jag(&changes), &[]));
        assert_eq!((status, error.as_str()), (400, "invalid_grant"), "{changes}");
        assert!(description.contains(why), "{changes}: {description}");
    }
    let jag = scene.id_jag(&json!({}));
    let forged = Scene::signed(
        json!({ "alg": "EdDSA", "kid": "ed25519", "typ": "oauth-id-jag+jwt" }),
        json!({ "iss": COMPANY }),
        &json!({}),
        Key::P256,
    );
    assert_eq!(Scene::refused(&scene.exchange(&forged, &[])).1, "invalid_grant");
    for (more, status, error) in [
        (vec![("client_secret", "wrong")], 401, "invalid_client"),
        (vec![("client_id", "open"), ("client_secret", "")], 400, "unauthorized_client"),
        (vec![("resource", "https://other.example/mcp")], 400, "invalid_target"),
        (vec![("assertion", "nonsense")], 400, "invalid_grant"),
        (vec![("assertion", "")], 400, "invalid_request"),
    ] {
        let refused = Scene::refused(&scene.exchange(&jag, &more));
        assert_eq!((refused.0, refused.1.as_str()), (status, error), "{more:?}");
    }
    assert_eq!(scene.exchange(&jag, &[]).status, 200, "what was refused used nothing up");
}

#[wasm_bindgen_test(unsupported = test)]
fn an_id_jag_is_good_once_in_all_isolates() {
    let scene = scene();
    let other = scene.other_isolate(server());
    let jag = scene.id_jag(&json!({}));
    assert_eq!(scene.exchange(&jag, &[]).status, 200);
    for isolate in [&scene, &other] {
        let (status, error, description) = Scene::refused(&isolate.exchange(&jag, &[]));
        assert_eq!((status, error.as_str()), (400, "invalid_grant"));
        assert!(description.contains("used before"), "{description}");
    }
    // Another issuer may use the same id.
    scene.world.records_down(true);
    assert_eq!(other.exchange(&scene.id_jag(&json!({ "jti": "next" })), &[]).status, 503, "it cannot be known");
}

#[wasm_bindgen_test(unsupported = test)]
fn subjects_of_several_providers_never_collide() {
    // The identity provider of the login also manages access: its users are the same.
    let mut same = server();
    same["trusted_issuers"][0] = json!({ "name": "acme", "issuer": ISSUER, "id_jag": { "anyone": true } });
    let scene = Scene::with(same, json!({}));
    let jag = scene.id_jag(&json!({ "iss": ISSUER }));
    let tokens = scene.exchange(&jag, &[]).json();
    assert_eq!(claims_of(&tokens)["sub"], "ada");
    assert_eq!(scene.exchange(&scene.id_jag(&json!({ "iss": ISSUER, "sub": "client:agent" })), &[]).status, 400);

    let scene = self::scene();
    *scene.user.borrow_mut() = json!({ "sub": "acme|ada" });
    let client = scene.client(LOOPBACK);
    let begun = scene.answer(&scene.authorize(&client, LOOPBACK, &[]), "allow");
    let back = scene.browse(scene.come_back(&begun));
    assert_eq!(answered(&back).get("error"), Some("access_denied"), "the login cannot give the name of another's user");
}

/// Of the users of the login, the directory of the login's provider says which groups they have, and whether they have access.
#[wasm_bindgen_test(unsupported = test)]
fn the_directory_decides_about_id_jags_of_the_logins_provider() {
    let mut same = server();
    same["trusted_issuers"][0] = json!({ "name": "acme", "issuer": ISSUER, "id_jag": { "allowed_groups": ["Staff"] } });
    let scene = Scene::with(same, json!({ "scim": { "secrets": ["ADMIN"], "binding": "DIRECTORY" } }));
    let send = |method: Method, path: &str, body: &Value| {
        let request = Request::new(method, &format!("/scim/v2{path}"));
        let request = request.field("authorization", &format!("Bearer {SECRET}"));
        let reply =
            scene.call(request.field("content-type", "application/scim+json").body(body.to_string().as_bytes()));
        assert!(reply.status < 300, "{}", reply.body);
        if reply.body.is_empty() { Value::Null } else { reply.json() }
    };
    let user = |name: &str| {
        let schema = "urn:ietf:params:scim:schemas:core:2.0:User";
        let made = send(Method::Post, "/Users", &json!({ "schemas": [schema], "userName": name, "externalId": name }));
        text(&made, "id").to_owned()
    };
    let (_, bob) = (user("ada"), user("bob"));
    let schema = "urn:ietf:params:scim:schemas:core:2.0:Group";
    let group = json!({ "schemas": [schema], "displayName": "Staff", "members": [{ "value": bob }] });
    let group = text(&send(Method::Post, "/Groups", &group), "id").to_owned();
    let number = std::cell::Cell::new(0);
    let exchange = |sub: &str, groups: &[&str]| {
        number.set(number.get() + 1);
        let changes = json!({ "iss": ISSUER, "sub": sub, "groups": groups, "jti": format!("jag {}", number.get()) });
        scene.exchange(&scene.id_jag(&changes), &[])
    };
    assert_eq!(exchange("ada", &["Staff"]).status, 400, "the ID-JAG says what the directory does not");
    let tokens = exchange("bob", &[]);
    assert_eq!(tokens.status, 200, "{}", tokens.body);
    assert_eq!(scene.use_it(&tokens.json()), 200);
    send(Method::Delete, &format!("/Groups/{group}"), &json!({}));
    scene.world.pass(6);
    assert_eq!(scene.use_it(&tokens.json()), 401);
    assert_eq!(exchange("bob", &["Staff"]).status, 400);
    assert_eq!(exchange("nobody", &["Staff"]).status, 400);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_administrator_ends_the_access_of_a_user_without_grants() {
    let scene = scene();
    let tokens = scene.exchange(&scene.id_jag(&json!({})), &[]).json();
    let other = scene.exchange(&scene.id_jag(&json!({ "sub": "ben" })), &[]).json();
    assert_eq!((scene.use_it(&tokens), scene.use_it(&other)), (200, 200));
    scene.world.pass(1);
    let question = json!({ "action": "delete", "subject": "acme|ada" }).to_string();
    let request = Request::new(Method::Post, "/admin").field("authorization", &format!("Bearer {SECRET}"));
    assert_eq!(scene.call(request.body(question.as_bytes())).status, 200);
    scene.world.pass(5);
    assert_eq!((scene.use_it(&tokens), scene.use_it(&other)), (401, 200));
    let again = scene.exchange(&scene.id_jag(&json!({ "jti": "again" })), &[]).json();
    assert_eq!(scene.use_it(&again), 200, "the provider decides who has access again");
}

#[wasm_bindgen_test(unsupported = test)]
fn the_keys_of_a_trusted_issuer_are_fetched_and_rotated() {
    let scene = Scene::with(server(), json!({}));
    let (status, error, _) = Scene::refused(&scene.exchange(&scene.id_jag(&json!({})), &[]));
    assert_eq!((status, error.as_str()), (503, "temporarily_unavailable"), "its metadata cannot be fetched");
    publish(&scene);
    let before = scene.world.fetched().len();
    for _ in 0..20 {
        assert_eq!(scene.exchange(&scene.id_jag(&json!({})), &[]).status, 503);
    }
    assert_eq!(scene.world.fetched().len(), before, "not asked again at once");
    scene.world.pass(60);
    assert_eq!(scene.exchange(&scene.id_jag(&json!({})), &[]).status, 200);
    let fetched = scene.world.fetched().len();
    for number in 0..50 {
        let guess = scene.id_jag(&json!({ "kid": format!("guess-{number}") }));
        assert_ne!(scene.exchange(&guess, &[]).status, 200);
    }
    assert!(scene.world.fetched().len() <= fetched + 4, "invented key ids cause no flood of requests");
    assert_eq!(scene.exchange(&scene.id_jag(&json!({ "jti": "after" })), &[]).status, 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn registered_clients_and_clients_with_documents_can_have_id_jags_if_they_authenticate() {
    let scene = scene();
    let registered = scene.register(json!({
        "client_name": "Agent", "grant_types": [JWT_BEARER], "token_endpoint_auth_method": "client_secret_post",
        "redirect_uris": [],
    }));
    assert_eq!(registered.status, 201, "{}", registered.body);
    let client = registered.json();
    let jag = scene.id_jag(&json!({ "client_id": client["client_id"] }));
    let own = [("client_id", text(&client, "client_id")), ("client_secret", text(&client, "client_secret"))];
    assert_eq!(scene.exchange(&jag, &own).status, 200);
    let public = scene.register(json!({
        "client_name": "Agent", "grant_types": [JWT_BEARER], "token_endpoint_auth_method": "none", "redirect_uris": [],
    }));
    let id = text(&public.json(), "client_id").to_owned();
    let jag = scene.id_jag(&json!({ "client_id": id }));
    let refused = Scene::refused(&scene.exchange(&jag, &[("client_id", &id), ("client_secret", "")]));
    assert_eq!((refused.0, refused.1.as_str()), (400, "unauthorized_client"));

    let jwks = json!({ "keys": [Key::P256.public_jwk()] });
    let document = json!({
        "client_id": DOCUMENT, "client_name": "Agent", "redirect_uris": [], "grant_types": [JWT_BEARER],
        "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks,
    });
    scene.world.document(DOCUMENT, Ok(&document.to_string()));
    let now = scene.world.time().seconds();
    let claims = json!({ "iss": DOCUMENT, "sub": DOCUMENT, "aud": PUBLIC, "jti": "1", "exp": now + 60 });
    let proof = Scene::signed(json!({ "alg": "ES256", "kid": "p256" }), claims, &json!({}), Key::P256);
    let jag = scene.id_jag(&json!({ "client_id": DOCUMENT }));
    let more = [
        ("client_id", DOCUMENT),
        ("client_secret", ""),
        ("client_assertion", proof.as_str()),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
    ];
    let reply = scene.exchange(&jag, &more);
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(claims_of(&reply.json())["client_id"], DOCUMENT);
    // A server that trusts no issuer knows no such grant.
    let plain = Scene::new();
    let reply = plain.register(json!({ "client_name": "Agent", "grant_types": [JWT_BEARER], "redirect_uris": [] }));
    assert_eq!(reply.status, 400);
    let reply = plain.token(&[("grant_type", JWT_BEARER), ("assertion", "x"), ("client_id", &plain.client(LOOPBACK))]);
    assert_eq!(text(&reply.json(), "error"), "unsupported_grant_type");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_workload_gets_a_token_of_its_client() {
    let scene = scene();
    let tokens = scene.run(&scene.pod(&json!({})), &[]).json();
    let claims = claims_of(&tokens);
    assert_eq!((text(&claims, "sub"), text(&claims, "client_id")), ("client:job", "job"));
    assert_eq!((text(&claims, "scope"), text(&claims, "namespace")), ("mcp:tools", "prod"));
    assert_eq!(scene.use_it(&tokens), 200);
    let again = scene.run(&scene.pod(&json!({})), &[("client_id", "job"), ("scope", "mcp:tools")]);
    assert_eq!(again.status, 200, "a pod reads the same token many times");
    // As client authentication.
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let ask = |assertion: &str, more: &[(&str, &str)]| {
        let mut parameters = vec![
            ("grant_type", "client_credentials"),
            ("client_assertion", assertion),
            ("client_assertion_type", kind),
        ];
        parameters.extend(more);
        scene.token(&parameters)
    };
    assert_eq!(ask(&scene.pod(&json!({})), &[("client_id", "job")]).status, 200);
    assert_eq!(ask(&scene.pod(&json!({})), &[]).status, 200);
    let refused = Scene::refused(&ask(&scene.pod(&json!({ "exp": 1 })), &[("client_id", "job")]));
    assert_eq!((refused.0, refused.1.as_str()), (401, "invalid_client"));
    assert_eq!(ask(&scene.pod(&json!({})), &[("client_id", "agent")]).status, 401, "it is another client");
}

#[wasm_bindgen_test(unsupported = test)]
fn an_assertion_of_another_workload_is_refused() {
    let scene = scene();
    for (changes, more, why) in [
        (json!({ "sub": "system:serviceaccount:dev:agent" }), vec![], "no client"),
        (json!({ "sub": null }), vec![], "no client"),
        (json!({ "sub": format!("system:serviceaccount:prod:{}", "a".repeat(300)) }), vec![], "no client"),
        (json!({ "kubernetes.io": { "namespace": "dev" } }), vec![], "no client"),
        (json!({ "kubernetes.io": "prod" }), vec![], "no client"),
        (json!({}), vec![("client_id", "agent")], "no client"),
        (json!({ "aud": "https://kubernetes.default.svc" }), vec![], "another server"),
        (json!({ "iss": COMPANY }), vec![], "not trusted"),
        (json!({ "exp": NOON + 90_000 }), vec![], "7200"),
        (json!({ "exp": NOON - 60 }), vec![], "expired"),
        (json!({ "iat": NOON + 60 }), vec![], "not valid yet"),
        (json!({ "kid": "other" }), vec![], "does not publish"),
    ] {
        let (status, error, description) = Scene::refused(&scene.run(&scene.pod(&changes), &more));
        assert_eq!((status, error.as_str()), (400, "invalid_grant"), "{changes}");
        assert!(description.contains(why), "{changes}: {description}");
    }
    let wrong = scene.run(&scene.pod(&json!({})), &[("client_id", "job"), ("client_secret", SECRET)]);
    assert_eq!(wrong.status, 401, "credentials that are not its own do not pass unread");
    let scope = scene.run(&scene.pod(&json!({})), &[("scope", "files:write")]);
    assert_eq!(text(&scope.json(), "error"), "invalid_scope");
}

#[wasm_bindgen_test(unsupported = test)]
fn mistakes_about_trusted_issuers_name_the_key() {
    let mistakes = |changes: &[(&str, Value)]| {
        let mut document = document(server(), json!({}));
        for (pointer, value) in changes {
            let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
            let at = document["authorization_server"].pointer_mut(parent).expect("it is there");
            match key.parse::<usize>() {
                Ok(index) => at[index] = value.clone(),
                Err(_) => at[key] = value.clone(),
            }
        }
        open_with(document, &secrets())
            .err()
            .map(|mistakes| mistakes.lines().join("\n"))
            .unwrap_or_default()
            .replace(": ", " ")
    };
    assert_eq!(mistakes(&[]), "");
    for (pointer, value, expected) in [
        ("/trusted_issuers/0/name", json!("a b"), "trusted_issuers[0].name must be 1 to 64"),
        ("/trusted_issuers/1/name", json!("acme"), "trusted_issuers[1].name \"acme\" is the name of another"),
        ("/trusted_issuers/1/issuer", json!(COMPANY), "trusted_issuers[1].issuer"),
        ("/trusted_issuers/0/issuer", json!("http://idp.acme.example"), "trusted_issuers[0].issuer must be https"),
        ("/trusted_issuers/0/jwks", json!("{}"), "trusted_issuers[0].jwks"),
        ("/trusted_issuers/1/jwks_uri", json!("https://k.example/keys"), "exclude each other"),
        ("/trusted_issuers/0/max_assertion_seconds", json!(59), "max_assertion_seconds must be 60 to 86400"),
        ("/trusted_issuers/0/id_jag/anyone", json!(true), "id_jag.anyone excludes"),
        ("/trusted_issuers/0/id_jag/allowed_groups", json!([]), "id_jag.anyone must be true"),
        ("/trusted_issuers/1/token_claims", json!(["sub"]), "trusted_issuers[1].token_claims[0]"),
        ("/clients/2/workload/issuer", json!("nowhere"), "clients[2].workload.issuer"),
        ("/clients/2/workload/subject", json!(""), "clients[2].workload.subject"),
        ("/clients/2/jwks_uri", json!("https://k.example/keys"), "clients[2].jwks_uri excludes workload"),
        ("/clients/2/scopes", json!(null), "clients[2].scopes is required"),
        (
            "/clients/0/token_endpoint_auth_method",
            json!("none"),
            "clients[0].token_endpoint_auth_method must not be none",
        ),
    ] {
        let found = mistakes(&[(pointer, value)]);
        assert!(found.contains(expected), "{pointer}: {found}");
    }
    let alone = mistakes(&[("/clients/2/workload/subject", json!("*")), ("/clients/2/workload/claims", json!(null))]);
    assert!(alone.contains("must not be * alone"), "{alone}");
    let machine = json!([{
        "client_id": "x", "token_endpoint_auth_method": "client_secret_post", "secret": "MACHINE",
        "grant_types": [JWT_BEARER],
    }]);
    let no_issuers = mistakes(&[("/trusted_issuers", json!([])), ("/clients", machine)]);
    assert!(no_issuers.contains("needs trusted_issuers"), "{no_issuers}");
}

/// What an issuer says of its users is for them alone: it must not give them what is meant for users of the login.
#[wasm_bindgen_test(unsupported = test)]
fn what_another_issuer_says_is_kept_apart_from_what_the_login_says() {
    let mut document = server();
    document["entitlements"][0]["groups"] = json!(["writers"]);
    document["token_claims"] = json!(["groups", "email", "department", "sid"]);
    document["trusted_issuers"][0]["token_claims"] = json!(["department"]);
    let scene = with(document.clone());
    let said = json!({
        "groups": ["staff", "writers"], "email": "boss@login.example", "email_verified": true, "department": "sales", "sid": "s",
    });
    let reply = scene.exchange(&scene.id_jag(&said), &[]);
    assert_eq!((reply.status, text(&reply.json(), "scope")), (200, "mcp:tools"), "{}", reply.body);
    let claims = claims_of(&reply.json());
    assert_eq!(claims["groups"], json!(["acme|staff", "acme|writers"]));
    assert_eq!((claims.get("email"), claims.get("sid")), (None, None));
    assert_eq!(claims["department"], "sales");
    // An address of a domain that the configuration gives to the issuer is one.
    document["trusted_issuers"][0]["id_jag"] = json!({ "allowed_domains": ["acme.example"] });
    let scene = with(document.clone());
    let said = json!({ "email": "Ada@acme.example", "email_verified": true });
    let claims = claims_of(&scene.exchange(&scene.id_jag(&said), &[]).json());
    assert_eq!(claims["email"], "ada@acme.example");
    for subject in [json!(" ada"), json!("ada\n"), json!("")] {
        assert_eq!(scene.exchange(&scene.id_jag(&json!({ "sub": subject })), &[]).status, 400, "{subject}");
    }
}

/// Platforms of workloads sign other tokens with the same keys.
#[wasm_bindgen_test(unsupported = test)]
fn a_token_of_another_kind_is_no_assertion_of_a_workload() {
    let scene = scene();
    for changes in [
        json!({ "typ": "at+jwt" }),
        json!({ "typ": "secevent+jwt" }),
        json!({ "typ": "logout+jwt" }),
        json!({ "events": { "https://schemas.openid.net/secevent/caep/event-type/session-revoked": {} } }),
    ] {
        let reply = scene.run(&scene.pod(&changes), &[]);
        assert_eq!((reply.status, text(&reply.json(), "error")), (400, "invalid_grant"), "{changes}");
    }
    for typ in [json!("JWT"), json!("jwt"), json!("JOSE")] {
        assert_eq!(scene.run(&scene.pod(&json!({ "typ": typ })), &[]).status, 200, "{typ}");
    }
}
