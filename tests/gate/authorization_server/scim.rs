//! Provisioning by the identity provider (SCIM): who may sign in, whose access ends, and whose groups change.

use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

fn scene(scim: &Value) -> Scene {
    let mut table = json!({ "secrets": ["ADMIN"], "binding": "DIRECTORY" });
    for (name, value) in scim.as_object().expect("a table") {
        table[name] = value.clone();
    }
    let server = json!({
        "token_claims": ["groups"],
        "entitlements": [{ "scopes": ["files:write"], "groups": ["Writers"] }],
    });
    Scene::with(server, json!({ "scim": table, "recheck_minutes": 60 }))
}

impl Scene {
    fn scim(&self, method: Method, path: &str, body: &Value) -> Reply {
        let request = Request::new(method, &format!("/scim/v2{path}"));
        let request = request.field("authorization", &format!("Bearer {SECRET}"));
        let has_body = matches!(method, Method::Post | Method::Put | Method::Patch);
        self.call(if has_body {
            request.field("content-type", "application/scim+json").body(body.to_string().as_bytes())
        } else {
            request
        })
    }

    /// Provisions a user with this external id: the id in the directory.
    fn provision(&self, external_id: &str) -> String {
        let user =
            json!({ "schemas": [USER], "userName": format!("{external_id}@acme.example"), "externalId": external_id });
        let reply = self.scim(Method::Post, "/Users", &user);
        assert_eq!(reply.status, 201, "{}", reply.body);
        assert_eq!(reply.field("content-type"), "application/scim+json");
        let id = text(&reply.json(), "id").to_owned();
        assert_eq!(reply.field("location"), format!("{PUBLIC}/scim/v2/Users/{id}"));
        id
    }

    fn patch(&self, path: &str, operations: &Value) -> Reply {
        let reply = self.scim(Method::Patch, path, &json!({ "schemas": [PATCH], "Operations": operations }));
        assert!(reply.status < 300, "{}", reply.body);
        reply
    }

    fn sign_in(&self, client: &str, scope: &str) -> Reply {
        let page = self.authorize(client, LOOPBACK, &[("scope", Some(scope))]);
        assert_eq!(page.status, 200, "{}", page.body);
        let began = self.answer(&page, "allow");
        self.browse(self.come_back(&began))
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn only_users_who_are_provisioned_and_active_sign_in() {
    let scene = scene(&json!({}));
    let client = scene.client(LOOPBACK);
    let refused = |why: &str| {
        let back = scene.sign_in(&client, "mcp:tools");
        assert_eq!(answered(&back).get("error"), Some("access_denied"));
        let detail = scene.world.last_request()["detail"].clone();
        assert!(detail.as_str().is_some_and(|detail| detail.contains(why)), "{detail}");
    };
    refused("has not provisioned");
    let id = scene.provision("ada");
    assert!(code_of(&scene.sign_in(&client, "mcp:tools")).is_some());
    let user = json!({ "schemas": [USER], "userName": "ada@acme.example", "externalId": "ada", "active": false });
    assert_eq!(scene.scim(Method::Put, &format!("/Users/{id}"), &user).status, 200);
    refused("has deactivated");
    // The pages of the gateway, too.
    let redirect = scene.other_browser().browse(Request::get("/grants"));
    let other = scene.other_browser();
    let redirect = if redirect.status == 302 { other.browse(Request::get("/grants")) } else { redirect };
    let back = other.browse(other.come_back(&redirect));
    assert_eq!((back.status, scene.reason().as_str()), (403, "not_admitted"), "{}", back.body);
    scene.patch(&format!("/Users/{id}"), &json!([{ "op": "Replace", "path": "active", "value": "True" }]));
    assert!(code_of(&scene.sign_in(&client, "mcp:tools")).is_some());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_user_who_is_deactivated_or_deleted_loses_access_at_once() {
    for delete in [false, true] {
        let scene = scene(&json!({}));
        let id = scene.provision("ada");
        let (client, tokens) = scene.logged_in();
        let others = scene.other_browser();
        *others.user.borrow_mut() = json!({ "sub": "bob" });
        scene.provision("bob");
        let (_, bobs) = others.logged_in();
        assert_eq!((scene.use_it(&tokens), scene.browse(Request::get("/grants")).status), (200, 200));
        let path = format!("/Users/{id}");
        if delete {
            assert_eq!(scene.scim(Method::Delete, &path, &json!({})).status, 204);
        } else {
            scene.patch(&path, &json!([{ "op": "replace", "value": { "active": false } }]));
        }
        scene.world.pass(6);
        assert_eq!(scene.use_it(&tokens), 401);
        assert_eq!(scene.use_it(&bobs), 200, "others go on");
        let reply = scene.refresh(&client, text(&tokens, "refresh_token"));
        assert_eq!((reply.status, text(&reply.json(), "error")), (400, "invalid_grant"));
        assert_eq!(scene.browse(Request::get("/grants")).status, 302, "the sign-in of the page has ended");
        let path = format!("/Users/{id}");
        assert_eq!(scene.scim(Method::Get, &path, &json!({})).status, if delete { 404 } else { 200 });
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn groups_of_the_directory_are_those_of_the_user() {
    let scene = scene(&json!({}));
    // What the login says of groups has no effect.
    *scene.user.borrow_mut() = json!({ "sub": "ada", "groups": ["Writers"] });
    let ada = scene.provision("ada");
    let client = scene.client(LOOPBACK);
    let denied = scene.sign_in(&client, "files:write");
    assert_eq!(answered(&denied).get("error"), Some("access_denied"));
    let group = json!({ "schemas": [GROUP], "displayName": "Writers", "members": [{ "value": ada }] });
    let group = text(&scene.scim(Method::Post, "/Groups", &group).json(), "id").to_owned();
    let back = scene.sign_in(&client, "mcp:tools files:write");
    let tokens = scene.redeem(&client, &code_of(&back).expect("a code")).json();
    assert_eq!(claims_of(&tokens)["groups"], json!(["Writers"]));
    assert_eq!(claims_of(&tokens)["scope"], "files:write mcp:tools");
    let provider = recheck::provider(&scene);
    assert_eq!(scene.use_it(&tokens), 200);
    scene.patch(
        &format!("/Groups/{group}"),
        &json!([{ "op": "remove", "path": format!("members[value eq \"{ada}\"]") }]),
    );
    scene.world.pass(6);
    assert_eq!(scene.use_it(&tokens), 401, "the token says what was");
    let refreshed = scene.refresh(&client, text(&tokens, "refresh_token"));
    assert_eq!(refreshed.status, 200, "{}", refreshed.body);
    assert_eq!(claims_of(&refreshed.json())["scope"], "mcp:tools");
    assert_eq!(claims_of(&refreshed.json())["groups"], json!([]));
    assert_eq!(provider.borrow().used.len(), 1, "the provider says who the user is, the directory which groups");
    // The user comes back into the group: what was approved is there again.
    scene.patch(&format!("/Groups/{group}"), &json!([{ "op": "Add", "path": "members", "value": [{ "value": ada }] }]));
    let again = scene.refresh(&client, text(&refreshed.json(), "refresh_token")).json();
    assert_eq!(claims_of(&again)["scope"], "files:write mcp:tools");
    // Where the groups are those of the login, what is provisioned has no effect.
    let own = self::scene(&json!({ "groups": false }));
    own.provision("ada");
    *own.user.borrow_mut() = json!({ "sub": "ada", "groups": ["Writers"] });
    let (_, tokens) = own.logged_in();
    assert_eq!(claims_of(&tokens)["groups"], json!(["Writers"]));
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_is_lost_where_a_record_cannot_be_reached() {
    let scene = scene(&json!({}));
    let ada = scene.provision("ada");
    let (client, tokens) = scene.logged_in();
    let names: Vec<String> = scene.world.records_of("subject").into_iter().map(|(name, _)| name).collect();
    for name in &names {
        scene.world.record_down(name, true);
    }
    let body = json!({ "schemas": [PATCH], "Operations": [{ "op": "replace", "path": "active", "value": false }] });
    assert_eq!(scene.scim(Method::Patch, &format!("/Users/{ada}"), &body).status, 503);
    for name in &names {
        scene.world.record_down(name, false);
    }
    // The provider sends it again, and nothing changes: what was not applied is applied now.
    assert_eq!(scene.scim(Method::Patch, &format!("/Users/{ada}"), &body).status, 200);
    scene.world.pass(6);
    assert_eq!((scene.use_it(&tokens), scene.browse(Request::get("/grants")).status), (401, 302));
    // Where the provider does not, the refresh finds it.
    let scene = self::scene(&json!({}));
    let ada = scene.provision("ada");
    let (_, other) = scene.logged_in();
    for name in scene.world.records_of("subject").into_iter().map(|(name, _)| name) {
        scene.world.record_down(&name, true);
    }
    assert_eq!(scene.scim(Method::Patch, &format!("/Users/{ada}"), &body).status, 503);
    scene.world.record_down("", true);
    let reply = scene.refresh(&client, text(&other, "refresh_token"));
    assert_eq!(reply.status, 400, "{}", reply.body);
    // A directory that cannot be reached lets in no user, and ends no grant.
    let scene = self::scene(&json!({}));
    scene.provision("ada");
    let (client, tokens) = scene.logged_in();
    scene.world.records_down(true);
    assert_eq!(scene.refresh(&client, text(&tokens, "refresh_token")).status, 503);
    scene.world.records_down(false);
    assert_eq!(scene.refresh(&client, text(&tokens, "refresh_token")).status, 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn only_the_provider_provisions() {
    let scene = scene(&json!({}));
    let with = |authorization: Option<&str>| {
        let request = Request::get("/scim/v2/Users");
        scene.call(authorization.map_or(request.clone(), |value| request.field("authorization", value)))
    };
    let basic = format!("Basic {SECRET}");
    for authorization in [None, Some(SECRET), Some("Bearer x"), Some("Bearer "), Some(basic.as_str())] {
        let reply = with(authorization);
        assert_eq!((reply.status, reply.field("www-authenticate")), (401, "Bearer"), "{authorization:?}");
        assert_eq!(reply.json()["schemas"][0], "urn:ietf:params:scim:api:messages:2.0:Error");
        assert_eq!(scene.reason(), "scim_unauthorized");
    }
    assert_eq!(with(Some(&format!("bearer {SECRET}"))).status, 200);
    assert_eq!(scene.scim(Method::Get, "/Nothing", &json!({})).status, 404);
    assert_eq!(scene.reason(), "scim_refused");
    let large = Request::new(Method::Post, "/scim/v2/Users").field("authorization", &format!("Bearer {SECRET}"));
    let large = large.field("content-type", "application/scim+json").body(&vec![b' '; 2 * 1024 * 1024 + 1]);
    assert_eq!(scene.call(large).status, 413);
    let bytes = Request::new(Method::Post, "/scim/v2/Users").field("authorization", &format!("Bearer {SECRET}"));
    assert_eq!(scene.call(bytes.field("content-type", "application/scim+json").body(&[0xff, 0xfe])).status, 400);
    assert_eq!(Scene::new().call(Request::get("/scim/v2/Users")).status, 404, "without the table there is none");
}

#[wasm_bindgen_test(unsupported = test)]
fn users_are_found_by_what_the_configuration_names() {
    let by_name = scene(&json!({ "match": "user_name" }));
    by_name.provision("ada");
    *by_name.user.borrow_mut() = json!({ "sub": "00u1", "preferred_username": "Ada@ACME.example" });
    let (_, tokens) = by_name.logged_in();
    assert_eq!(claims_of(&tokens)["sub"], "00u1");
    let by_claim = scene(&json!({ "claim": "oid" }));
    by_claim.provision("7a");
    *by_claim.user.borrow_mut() = json!({ "sub": "x", "oid": "7a" });
    by_claim.logged_in();
    // An address that the provider has not verified may be another user's.
    let by_email = scene(&json!({ "match": "email" }));
    let user = json!({ "schemas": [USER], "userName": "ada", "emails": [{ "value": "ada@acme.example" }] });
    assert_eq!(by_email.scim(Method::Post, "/Users", &user).status, 201);
    let client = by_email.client(LOOPBACK);
    *by_email.user.borrow_mut() = json!({ "sub": "eve", "email": "ada@acme.example", "email_verified": false });
    let back = by_email.sign_in(&client, "mcp:tools");
    assert_eq!(answered(&back).get("error"), Some("access_denied"));
    *by_email.user.borrow_mut() = json!({ "sub": "ada", "email": "Ada@acme.example", "email_verified": true });
    let (client, tokens) = by_email.logged_in();
    // The address becomes another user's: the sign-in that found its user by it is over.
    let list = by_email.scim(Method::Get, "/Users?filter=userName%20eq%20%22ada%22", &json!({})).json();
    let id = text(&list["Resources"][0], "id").to_owned();
    let emails = json!([{ "op": "replace", "path": "emails", "value": [{ "value": "new@acme.example" }] }]);
    by_email.patch(&format!("/Users/{id}"), &emails);
    assert_eq!(by_email.refresh(&client, text(&tokens, "refresh_token")).status, 400);
    // Users whom the provider has not provisioned, where they may come, too.
    let open = scene(&json!({ "required": false }));
    *open.user.borrow_mut() = json!({ "sub": "guest" });
    let (client, tokens) = open.logged_in();
    assert_eq!(open.refresh(&client, text(&tokens, "refresh_token")).status, 200);
}

#[wasm_bindgen_test(unsupported = test)]
fn mistakes_of_the_table() {
    for (scim, why) in [
        (json!({ "secrets": [], "binding": "D" }), "must name 1 to 4 secrets"),
        (json!({ "secrets": ["IDP"], "binding": "D" }), "32 characters or more"),
        (json!({ "secrets": ["ADMIN"] }), "binding"),
        (json!({ "secrets": ["ADMIN"], "binding": "" }), "must be the name of a Durable Object binding"),
        (json!({ "secrets": ["ADMIN"], "binding": "D", "match": "sub" }), "match"),
        (json!({ "secrets": ["ADMIN"], "binding": "D", "match": "email", "claim": "mail" }), "has no effect"),
        (json!({ "secrets": ["ADMIN"], "binding": "D", "claim": "" }), "must not be empty"),
        (json!({ "secrets": ["ADMIN"], "binding": "D", "token": "x" }), "token"),
    ] {
        let document = document(json!({}), json!({ "scim": scim }));
        let mistakes = open_with(document, &secrets()).expect_err("wrong").to_string();
        assert!(mistakes.contains("authorization_server.login.scim") && mistakes.contains(why), "{scim}: {mistakes}");
    }
}

/// The subjects that were changed by requests of the provider, in the order of requests.
fn many(scene: &Scene, count: usize) -> Vec<(String, String)> {
    let client = scene.client(LOOPBACK);
    let users = (0..count).map(|at| {
        let sub = format!("u{at}");
        let id = scene.provision(&sub);
        let browser = scene.other_browser();
        *browser.user.borrow_mut() = json!({ "sub": sub });
        let tokens = browser.redeem(&client, &code_of(&browser.sign_in(&client, "mcp:tools")).expect("a code")).json();
        (id, text(&tokens, "access_token").to_owned())
    });
    users.collect()
}

#[wasm_bindgen_test(unsupported = test)]
fn a_deactivation_does_not_wait_behind_a_large_group() {
    let scene = scene(&json!({}));
    let users = many(&scene, 70);
    let members: Vec<Value> = users.iter().map(|(id, _)| json!({ "value": id })).collect();
    let group = json!({ "schemas": [GROUP], "displayName": "Everyone", "members": members });
    assert_eq!(scene.scim(Method::Post, "/Groups", &group).status, 201);
    let (last, token) = users.last().expect("users");
    scene.patch(&format!("/Users/{last}"), &json!([{ "op": "replace", "path": "active", "value": false }]));
    scene.world.pass(6);
    assert_eq!(scene.call(Request::post("/mcp").bearer(token)).status, 401);
    // The rest is applied by the next requests.
    scene.scim(Method::Get, "/Users?count=1", &json!({}));
    scene.world.pass(6);
    let refused = users.iter().filter(|(_, token)| scene.call(Request::post("/mcp").bearer(token)).status == 401);
    assert_eq!(refused.count(), 70);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_user_who_is_deactivated_stays_that_by_whatever_name() {
    // Who signed in before the provider provisioned the user.
    let early = scene(&json!({ "required": false }));
    let (client, tokens) = early.logged_in();
    let id = early.provision("ada");
    early.patch(&format!("/Users/{id}"), &json!([{ "op": "replace", "path": "active", "value": false }]));
    early.world.pass(6);
    assert_eq!(early.use_it(&tokens), 401);
    assert_eq!(early.refresh(&client, text(&tokens, "refresh_token")).status, 400);
    // Who comes without the name, or with another one.
    let named = scene(&json!({ "required": false, "match": "user_name" }));
    *named.user.borrow_mut() =
        json!({ "sub": "00u1", "preferred_username": "ada@acme.example", "groups": ["Writers"] });
    let id = named.provision("ada");
    let (client, _) = named.logged_in();
    named.patch(&format!("/Users/{id}"), &json!([{ "op": "replace", "path": "active", "value": false }]));
    named.provision("other");
    for name in [Value::Null, json!("nobody@acme.example"), json!("other@acme.example")] {
        named.user.borrow_mut()["preferred_username"] = name.clone();
        let back = named.sign_in(&client, "mcp:tools");
        assert_eq!(answered(&back).get("error"), Some("access_denied"), "{name}");
    }
    // Who has an address that is another user's, too.
    let shared = scene(&json!({ "required": false, "match": "email" }));
    let user = |name: &str| json!({ "schemas": [USER], "userName": name, "emails": [{ "value": "ada@acme.example" }] });
    assert_eq!(shared.scim(Method::Post, "/Users", &user("ada")).status, 201);
    assert_eq!(shared.scim(Method::Post, "/Users", &user("eve")).status, 201);
    let client = shared.client(LOOPBACK);
    let back = shared.sign_in(&client, "mcp:tools");
    assert_eq!(answered(&back).get("error"), Some("access_denied"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_sign_in_after_a_reactivation_goes_on() {
    let scene = scene(&json!({}));
    let id = scene.provision("ada");
    let (_, old) = scene.logged_in();
    let path = format!("/Users/{id}");
    scene.world.pass(100);
    scene.patch(&path, &json!([{ "op": "replace", "path": "active", "value": false }]));
    scene.patch(&path, &json!([{ "op": "replace", "path": "active", "value": true }]));
    scene.world.pass(2);
    let (client, new) = scene.logged_in();
    scene.scim(Method::Get, "/Users", &json!({}));
    scene.world.pass(6);
    assert_eq!((scene.use_it(&old), scene.use_it(&new)), (401, 200));
    assert_eq!(scene.refresh(&client, text(&new, "refresh_token")).status, 200);
    // In another case, a name is the same.
    let rename = json!([{ "op": "replace", "path": "userName", "value": "ADA@acme.example" }]);
    let named = self::scene(&json!({ "match": "user_name" }));
    let id = named.provision("ada");
    *named.user.borrow_mut() = json!({ "sub": "00u1", "preferred_username": "ada@acme.example" });
    let (client, tokens) = named.logged_in();
    named.patch(&format!("/Users/{id}"), &rename);
    assert_eq!(named.refresh(&client, text(&tokens, "refresh_token")).status, 200);
}
