//! What the service says of itself: `/ServiceProviderConfig`, `/ResourceTypes` and `/Schemas` (RFC 7644 §4, RFC 7643 §5 to §7).

use serde_json::{Map, Value, json};

use super::schema::{Attribute, GROUP, Kind, Mutability, Schema, USER};
use crate::limits::SCIM_PAGE;

/// The schemas that the service has.
static SCHEMAS: &[&Schema] = &[&USER, &GROUP];

/// `/ServiceProviderConfig`.
#[must_use]
pub fn service_provider_config(base_url: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": { "supported": true },
        "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
        "filter": { "supported": true, "maxResults": SCIM_PAGE },
        "changePassword": { "supported": false },
        "sort": { "supported": false },
        "etag": { "supported": false },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "A bearer token in the Authorization field",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": true,
        }],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": format!("{base_url}/ServiceProviderConfig"),
        },
    })
}

/// The elements of `/ResourceTypes`, each with its id.
#[must_use]
pub fn resource_types(base_url: &str) -> Vec<(&'static str, Value)> {
    let describe = |schema: &&'static Schema| {
        let value = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
            "id": schema.name,
            "name": schema.name,
            "description": schema.description,
            "endpoint": format!("/{}", schema.endpoint),
            "schema": schema.id,
            "schemaExtensions": [],
            "meta": { "resourceType": "ResourceType", "location": format!("{base_url}/ResourceTypes/{}", schema.name) },
        });
        (schema.name, value)
    };
    SCHEMAS.iter().map(describe).collect()
}

/// The elements of `/Schemas`, each with its id.
#[must_use]
pub fn schemas(base_url: &str) -> Vec<(&'static str, Value)> {
    let describe = |schema: &&'static Schema| {
        let value = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
            "id": schema.id,
            "name": schema.name,
            "description": schema.description,
            "attributes": schema.attributes.iter().map(attribute).collect::<Vec<_>>(),
            "meta": { "resourceType": "Schema", "location": format!("{base_url}/Schemas/{}", schema.id) },
        });
        (schema.id, value)
    };
    SCHEMAS.iter().map(describe).collect()
}

fn attribute(attribute: &Attribute) -> Value {
    let mut shown = Map::new();
    let mut set = |name: &str, value: Value| shown.insert(name.to_owned(), value);
    set("name", attribute.name.into());
    set("type", kind(attribute.kind).into());
    set("multiValued", attribute.multi_valued.into());
    set("description", attribute.description.into());
    set("required", attribute.required.into());
    if matches!(attribute.kind, Kind::String | Kind::Reference) {
        set("caseExact", attribute.case_exact.into());
        set("uniqueness", if attribute.unique { "server" } else { "none" }.into());
    }
    set("mutability", mutability(attribute.mutability).into());
    set("returned", "default".into());
    if !attribute.canonical_values.is_empty() {
        set("canonicalValues", attribute.canonical_values.into());
    }
    if !attribute.reference_types.is_empty() {
        set("referenceTypes", attribute.reference_types.into());
    }
    if !attribute.sub_attributes.is_empty() {
        set("subAttributes", attribute.sub_attributes.iter().map(self::attribute).collect());
    }
    Value::Object(shown)
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::String => "string",
        Kind::Boolean => "boolean",
        Kind::DateTime => "dateTime",
        Kind::Reference => "reference",
        Kind::Complex => "complex",
    }
}

fn mutability(mutability: Mutability) -> &'static str {
    match mutability {
        Mutability::ReadWrite => "readWrite",
        Mutability::ReadOnly => "readOnly",
        Mutability::Immutable => "immutable",
    }
}
