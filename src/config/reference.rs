//! The JSON Schema of the configuration document, and its reference in Markdown, both generated from the types in
//! [`document`](super::document). Built for tests only.

#![expect(clippy::indexing_slicing, reason = "a member that JSON does not have reads as null")]

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::document::Document;

/// The JSON Schema (draft 2020-12).
#[must_use]
pub fn schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Document>().to_value();
    schema["title"] = Value::from("PORTCULLIS");
    let required = schema["required"].take();
    schema.as_object_mut().map(|members| members.remove("required"));
    schema["anyOf"] = serde_json::json!([{ "required": required }, { "required": ["stored"], "maxProperties": 1 }]);
    without_formats(&mut schema);
    schema
}

/// Removes `format`: `uint64` and the like mean nothing to a reader of JSON.
fn without_formats(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.remove("format");
            members.values_mut().for_each(without_formats);
        }
        Value::Array(items) => items.iter_mut().for_each(without_formats),
        _ => {}
    }
}

/// The reference, in Markdown.
#[must_use]
pub fn markdown(schema: &Value) -> String {
    let mut text = String::from(
        "<!-- Generated from src/config/document.rs by `UPDATE=1 npm run test:unit`. Edit it there. -->\n\
         # Configuration\n\n\
         The gateway reads one document, strictly: an unknown key, a wrong type or a value that cannot work is a \
         mistake. The log reports all mistakes at once, each with its path and with what would be right. A gateway \
         whose document has a mistake answers every request with 503.\n\n\
         In `wrangler.toml` the document is the table `[vars.PORTCULLIS]`; other environments have \
         `[env.NAME.vars.PORTCULLIS]`. It may also be a JSON string in the variable of that name. One variable holds \
         5 KB on Cloudflare Workers: a larger document goes \
         [into KV](operations.md#configuration-without-a-deployment). Never write secrets into the document: it names \
         Worker secrets (`wrangler secret put NAME`). Editors that support JSON Schema can use \
         [portcullis.schema.json](portcullis.schema.json).\n\n\
         Complete documents for each identity provider and kind of credential are in \
         [identity-providers.md](identity-providers.md), for the gateway as an authorization \
         server in [authorization-server.md](authorization-server.md), for verifiers of your own in \
         [custom-verifier.md](custom-verifier.md), for revocation in [revocation.md](revocation.md).\n\n",
    );
    section(&mut text, "`[vars.PORTCULLIS]`", schema, schema);
    let tables = [
        ("IssuerDocument", "`[[vars.PORTCULLIS.issuers]]`"),
        ("IntrospectionDocument", "`[vars.PORTCULLIS.issuers.introspection]`"),
        ("OriginCredentialDocument", "`[vars.PORTCULLIS.resources.credential]`"),
        ("ServerDocument", "`[[vars.PORTCULLIS.resources.servers]]`"),
        ("StaticFieldDocument", "`[[vars.PORTCULLIS.resources.credential.static]]`"),
        ("ClientCredentialsDocument", "`[vars.PORTCULLIS.resources.credential.client_credentials]`"),
        ("TokenExchangeDocument", "`[vars.PORTCULLIS.resources.credential.token_exchange]`"),
        ("PerUserDocument", "`[vars.PORTCULLIS.resources.credential.per_user]`"),
        ("EnterpriseDocument", "`[vars.PORTCULLIS.resources.credential.enterprise]`"),
        (
            "TokenClientDocument",
            "`[vars.PORTCULLIS.resources.credential.KIND.client]`, `.enterprise.provider` and `.enterprise.server`",
        ),
        ("ApiKeySetDocument", "`[[vars.PORTCULLIS.api_keys]]`"),
        ("ApiKeyDocument", "`[[vars.PORTCULLIS.api_keys.keys]]`"),
        ("VerifierDocument", "`[[vars.PORTCULLIS.verifiers]]`"),
        ("ResourceDocument", "`[[vars.PORTCULLIS.resources]]`"),
        ("RuleDocument", "`[[vars.PORTCULLIS.resources.rules]]`"),
        ("SignInDocument", "`[vars.PORTCULLIS.resources.rules.sign_in]`"),
        ("WhenDocument", "`[vars.PORTCULLIS.resources.rules.when]`"),
        ("ArgumentDocument", "`[vars.PORTCULLIS.resources.rules.when.arguments.NAME]`"),
        ("ApprovalsDocument", "`[vars.PORTCULLIS.resources.approvals]`"),
        ("LimitDocument", "`[[vars.PORTCULLIS.resources.limits]]`"),
        ("GuardDocument", "`[[vars.PORTCULLIS.resources.guards]]`"),
        ("BoundDocument", "`[[vars.PORTCULLIS.resources.bounds]]`"),
        ("HookDocument", "`[[vars.PORTCULLIS.resources.hooks]]`"),
        ("BudgetDocument", "`[[vars.PORTCULLIS.resources.budgets]]`"),
        ("PublicPathDocument", "`[[vars.PORTCULLIS.public_paths]]`"),
        ("AuthorizationServerDocument", "`[vars.PORTCULLIS.authorization_server]`"),
        ("LoginDocument", "`[vars.PORTCULLIS.authorization_server.login]`"),
        ("OtherLoginDocument", "`[[vars.PORTCULLIS.authorization_server.other_logins]]`"),
        ("ScimDocument", "`[vars.PORTCULLIS.authorization_server.login.scim]`"),
        ("EntitlementDocument", "`[[vars.PORTCULLIS.authorization_server.entitlements]]`"),
        ("ClientDocument", "`[[vars.PORTCULLIS.authorization_server.clients]]`"),
        ("WorkloadDocument", "`[vars.PORTCULLIS.authorization_server.clients.workload]`"),
        ("TrustedIssuerDocument", "`[[vars.PORTCULLIS.authorization_server.trusted_issuers]]`"),
        ("IdJagDocument", "`[vars.PORTCULLIS.authorization_server.trusted_issuers.id_jag]`"),
        ("SignalsDocument", "`[vars.PORTCULLIS.authorization_server.trusted_issuers.signals]`"),
        ("PollDocument", "`[vars.PORTCULLIS.authorization_server.trusted_issuers.signals.poll]`"),
        ("DpopDocument", "`[vars.PORTCULLIS.dpop]`"),
        ("RevocationTable", "`[vars.PORTCULLIS.revocation]`"),
        ("SessionsDocument", "`[vars.PORTCULLIS.sessions]`"),
        ("DecisionLogDocument", "`[vars.PORTCULLIS.decision_log]`"),
        ("IdentityAssertionDocument", "`[vars.PORTCULLIS.identity_assertion]`"),
        ("OperatorDocument", "`[vars.PORTCULLIS.operator]`"),
        ("MetricsDocument", "`[vars.PORTCULLIS.metrics]`"),
        ("LogDocument", "`[vars.PORTCULLIS.log]`"),
        ("StoredDocument", "`[vars.PORTCULLIS.stored]`"),
    ];
    for (name, title) in tables {
        section(&mut text, title, &schema["$defs"][name], schema);
    }
    text
}

fn section(text: &mut String, title: &str, schema: &Value, root: &Value) {
    let about = schema["description"].as_str().unwrap_or_default();
    text.push_str(&format!("## {title}\n\n{}\n\n", flowed(about)));
    let required = schema["required"].as_array().or(schema["anyOf"][0]["required"].as_array());
    let required: Vec<&str> = required.into_iter().flatten().filter_map(Value::as_str).collect();
    let mut properties: Vec<_> = schema["properties"].as_object().into_iter().flatten().collect();
    properties.sort_by_key(|(key, _)| !required.contains(&key.as_str()));
    for (key, property) in properties {
        let needed = if required.contains(&key.as_str()) { ", required" } else { "" };
        let about = flowed(property["description"].as_str().unwrap_or_default());
        text.push_str(&format!("- **`{key}`** ({}{needed}): {about}\n", kind(property, root)));
    }
    text.push('\n');
}

/// Joins the lines of each paragraph, which were broken at the width of the source; keeps the paragraphs.
fn flowed(text: &str) -> String {
    text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect::<Vec<_>>().join("\n\n")
}

/// The values that a member may have, if they are limited.
fn values(definition: &Value) -> Option<String> {
    let plain = definition["enum"].as_array().into_iter().flatten();
    let described = definition["oneOf"].as_array().into_iter().flatten().map(|one| &one["const"]);
    let values: Vec<String> =
        plain.chain(described).filter_map(Value::as_str).map(|value| format!("`{value}`")).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

fn kind(property: &Value, schema: &Value) -> String {
    let values = |reference: &Value| {
        let name = reference["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/"))?;
        values(&schema["$defs"][name])
    };
    if let Some(values) = values(&property["anyOf"][0]) {
        return format!("one of {values}");
    }
    if let Some(values) = values(&property["items"]) {
        return format!("array of {values}");
    }
    let one = |kind: &str| match kind {
        "string" => "string",
        "boolean" => "true or false",
        "integer" => "whole number",
        "array" => "array",
        "object" => "table",
        _ => "value",
    };
    let kinds = match &property["type"] {
        Value::String(kind) => vec![one(kind)],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").map(one).collect(),
        _ => vec!["table"],
    };
    match (kinds.as_slice(), property["items"]["type"].as_str()) {
        (["array"], Some("string")) => "array of strings".to_owned(),
        (["array"], _) => "array of tables".to_owned(),
        _ => kinds.join(" or "),
    }
}
