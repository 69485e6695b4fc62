//! The authorization server of an origin server, at which users connect their accounts: where it is, what it supports, and
//! requests to it. To it, this gateway is a client.

use serde_json::{Value, json};

use crate::authorization_server::settings::AuthorizationServer;
use crate::jwks::discovery::{Metadata, MetadataError};
use crate::limits::{LOG_VALUE_CHARS, PROVIDER_TIMEOUT, SCOPE_BYTES};
use crate::oauth::challenge::resource_metadata;
use crate::oauth::client_authentication::{ClientAuthentication, authenticate};
use crate::oauth::form::Form;
use crate::oauth::scope::ScopeSet;
use crate::origin_credential::PerUser;
use crate::resource::document::{MAX_AGE, PublicDocument};
use crate::settings::resource::{OriginServer, Resource};
use crate::settings::{OwnIssuer, Settings};
use crate::strict_json;
use crate::transport::provider::ProviderRequest;
use crate::transport::url::HttpUrl;

/// An authorization server of another party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThirdParty {
    /// Its issuer identifier.
    pub issuer: String,
    /// Where users are sent.
    pub authorization: String,
    /// Where codes are redeemed and tokens refreshed.
    pub token: String,
    /// Where clients register (RFC 7591).
    pub registration: Option<String>,
    /// Where tokens are revoked (RFC 7009).
    pub revocation: Option<String>,
    /// Whether it takes the URL of a metadata document as client id.
    pub takes_documents: bool,
    /// Whether its authorization responses have `iss` (RFC 9207).
    pub names_itself: bool,
    /// The scopes that the origin server says it has, if it says so.
    pub scopes: ScopeSet,
}

/// Reads authorization server metadata. A server that does not say that it supports PKCE with S256 is refused, unless the operator
/// registered the client there. If the origin server chose the issuer, this must not send users to the authorization endpoint of
/// another server, which would then issue codes for this one: either the endpoint is on the issuer's own host, or the authorization
/// responses name their issuer (RFC 9207).
///
/// # Errors
/// [`MetadataError`]
pub fn read_metadata(metadata: &Metadata<'_>, issuer: &str, per_user: &PerUser) -> Result<ThirdParty, MetadataError> {
    let authorization = metadata.url("authorization_endpoint")?;
    let names_itself = metadata.says("authorization_response_iss_parameter_supported");
    let host = |url: &str| HttpUrl::parse(url).ok().map(|url| url.authority().clone());
    if per_user.issuer.is_none() && !names_itself && host(&authorization) != host(issuer) {
        return Err(MetadataError::ForeignEndpoint("authorization_endpoint"));
    }
    if per_user.client.is_none() && !metadata.lists("code_challenge_methods_supported", "S256") {
        return Err(MetadataError::Missing("S256 in code_challenge_methods_supported"));
    }
    Ok(ThirdParty {
        issuer: issuer.to_owned(),
        authorization,
        token: metadata.url("token_endpoint")?,
        registration: metadata.optional_url("registration_endpoint"),
        revocation: metadata.optional_url("revocation_endpoint"),
        takes_documents: metadata.says("client_id_metadata_document_supported"),
        names_itself,
        scopes: ScopeSet::default(),
    })
}

/// A request without a credential, whose answer says where the metadata of the server is (RFC 9728 §5.1). `ping` changes nothing
/// at a server that answers everyone.
#[must_use]
pub fn unauthenticated(origin: &OriginServer) -> ProviderRequest {
    ProviderRequest {
        url: origin.url.to_string(),
        service: origin.service.clone(),
        fields: vec![
            ("accept", "application/json, text/event-stream".to_owned()),
            ("content-type", "application/json".to_owned()),
        ],
        body: Some(json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }).to_string()),
        seconds: PROVIDER_TIMEOUT,
    }
}

/// A request for a document of an origin server.
#[must_use]
pub fn document(origin: &OriginServer, location: &str) -> ProviderRequest {
    ProviderRequest {
        url: location.to_owned(),
        service: origin.service.clone(),
        fields: vec![("accept", "application/json".to_owned())],
        body: None,
        seconds: PROVIDER_TIMEOUT,
    }
}

/// The location of the metadata that the challenge of an origin server names.
///
/// # Errors
/// [`MetadataError`] if the gateway may not send requests to it (P8).
pub fn location_in(challenge: &str, origin: &HttpUrl, development: bool) -> Result<Option<String>, MetadataError> {
    let Some(location) = resource_metadata(challenge) else { return Ok(None) };
    public_url("resource_metadata", &location, origin, development)?;
    Ok(Some(location))
}

/// A URL that an origin server names. It is on a public host or that of the origin server, which the operator chose; in
/// development it may be of loopback.
fn public_url(at: &'static str, text: &str, origin: &HttpUrl, development: bool) -> Result<(), MetadataError> {
    let url = HttpUrl::parse(text).map_err(|error| MetadataError::NotUrl(at, error))?;
    if !url.is_protected(development) {
        return Err(MetadataError::NotProtected(at));
    }
    let own = url.authority() == origin.authority();
    if url.authority().is_private() && !own && !(development && url.authority().is_loopback()) {
        return Err(MetadataError::PrivateHost(at));
    }
    Ok(())
}

/// The locations of the metadata of a protected resource (RFC 9728 §3.1), the one with its path first.
#[must_use]
pub fn resource_locations(origin: &HttpUrl) -> Vec<String> {
    let (root, path) = (origin.web_origin(), origin.path().trim_end_matches('/'));
    let at = |path: &str| format!("{root}/.well-known/oauth-protected-resource{path}");
    if path.is_empty() { vec![at("")] } else { vec![at(path), at("")] }
}

/// The issuer of the authorization server that a protected resource names, and the scopes that it lists (RFC 9728 §2).
///
/// # Errors
/// [`MetadataError`] if the document is of another resource, or names no server that the gateway may send requests to (P8).
pub fn read_resource_metadata(
    document: &[u8],
    resource: &str,
    origin: &HttpUrl,
    development: bool,
) -> Result<(String, ScopeSet), MetadataError> {
    let members = match strict_json::parse(document) {
        Ok(Value::Object(members)) => members,
        Ok(_) => return Err(MetadataError::NotObject),
        Err(error) => return Err(MetadataError::NotJson(error)),
    };
    let stated = members.get("resource").and_then(Value::as_str).unwrap_or_default();
    if stated != resource {
        return Err(MetadataError::OtherResource(stated.chars().take(LOG_VALUE_CHARS).collect(), resource.to_owned()));
    }
    let named = members.get("authorization_servers").and_then(Value::as_array);
    let issuer = named.and_then(|named| named.first()).and_then(Value::as_str);
    let issuer = issuer.ok_or(MetadataError::Missing("authorization_servers"))?;
    public_url("authorization_servers", issuer, origin, development)?;
    let scopes = members.get("scopes_supported").and_then(Value::as_array);
    let scopes: Vec<&str> = scopes.into_iter().flatten().filter_map(Value::as_str).collect();
    // Too many are not requested: the server then chooses.
    let scopes = Some(scopes.join(" ")).filter(|scopes| scopes.len() <= SCOPE_BYTES).unwrap_or_default();
    Ok((issuer.to_owned(), ScopeSet::of_text(&scopes)))
}

/// This gateway as a client of the authorization server of a resource: the document that is at the URL which is its client id.
#[must_use]
pub fn client_document(server: &AuthorizationServer, settings: &Settings, resource: &Resource) -> PublicDocument {
    let body = json!({
        "client_id": client_id(server, resource),
        "client_name": client_name(settings, resource),
        "client_uri": settings.public_url.to_string(),
        "redirect_uris": [redirect_uri(&server.own, resource)],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "web",
    });
    PublicDocument { body: body.to_string(), cache_control: MAX_AGE }
}

/// The URL of that document.
#[must_use]
pub fn client_id(server: &AuthorizationServer, resource: &Resource) -> String {
    server.url(&format!("/client{}", resource.path.as_str()))
}

/// Where users come back from that authorization server.
#[must_use]
pub fn redirect_uri(server: &OwnIssuer, resource: &Resource) -> String {
    server.url(&format!("/connected{}", resource.path.as_str()))
}

/// The name by which its users know this gateway.
fn client_name(settings: &Settings, resource: &Resource) -> String {
    let name = resource.name.as_deref().unwrap_or(resource.path.as_str());
    format!("Portcullis at {}: {name}", settings.public_url)
}

/// The metadata with which this gateway registers (RFC 7591 §2).
#[must_use]
pub fn registration(server: &AuthorizationServer, settings: &Settings, resource: &Resource) -> String {
    json!({
        "client_name": client_name(settings, resource),
        "redirect_uris": [redirect_uri(&server.own, resource)],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_basic",
        "application_type": "web",
    })
    .to_string()
}

/// The URL to which a user is sent (RFC 6749 §4.1.1, RFC 7636, RFC 8707).
#[must_use]
pub fn authorization_url(
    third_party: &ThirdParty,
    per_user: &PerUser,
    (client_id, redirect_uri, scope): (&str, &str, &str),
    (state, challenge): (&str, &str),
) -> String {
    let mut form = Form::default();
    form.add("response_type", "code");
    form.add("client_id", client_id);
    form.add("redirect_uri", redirect_uri);
    form.add("state", state);
    form.add("code_challenge", challenge);
    form.add("code_challenge_method", "S256");
    if !scope.is_empty() {
        form.add("scope", scope);
    }
    name_resource(&mut form, per_user);
    for (name, value) in &per_user.parameters {
        form.add(name, value);
    }
    let form = form.into_text();
    let Some((endpoint, query)) = third_party.authorization.split_once('?') else {
        return format!("{}?{form}", third_party.authorization);
    };
    // A parameter must not be there twice (RFC 6749 §3.1).
    let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
    let ours: Vec<String> = form.split('&').map(name).collect();
    let theirs = query.split('&').filter(|pair| !pair.is_empty() && !ours.contains(&name(pair)));
    format!("{endpoint}?{}", theirs.chain([form.as_str()]).collect::<Vec<_>>().join("&"))
}

/// Names the server that the token is for (RFC 8707), unless the authorization server does not take that.
fn name_resource(form: &mut Form, per_user: &PerUser) {
    if per_user.sends_resource {
        form.add("resource", &per_user.resource);
    }
}

/// The request that redeems a code.
#[must_use]
pub fn code_request(
    third_party: &ThirdParty,
    per_user: &PerUser,
    client: (&str, &ClientAuthentication),
    (code, redirect_uri, verifier): (&str, &str, &str),
    assertion: Option<&str>,
) -> ProviderRequest {
    let mut form = Form::default();
    form.add("grant_type", "authorization_code");
    form.add("code", code);
    form.add("redirect_uri", redirect_uri);
    form.add("code_verifier", verifier);
    name_resource(&mut form, per_user);
    post(&third_party.token, client, form, assertion, per_user.timeout)
}

/// The request that refreshes tokens (RFC 6749 §6).
#[must_use]
pub fn refresh_request(
    third_party: &ThirdParty,
    per_user: &PerUser,
    client: (&str, &ClientAuthentication),
    refresh_token: &str,
    assertion: Option<&str>,
) -> ProviderRequest {
    let mut form = Form::default();
    form.add("grant_type", "refresh_token");
    form.add("refresh_token", refresh_token);
    name_resource(&mut form, per_user);
    post(&third_party.token, client, form, assertion, per_user.timeout)
}

/// The request that revokes a token (RFC 7009 §2.1).
#[must_use]
pub fn revocation_request(
    endpoint: &str,
    client: (&str, &ClientAuthentication),
    (token, hint): (&str, &str),
    assertion: Option<&str>,
    seconds: u64,
) -> ProviderRequest {
    let mut form = Form::default();
    form.add("token", token);
    form.add("token_type_hint", hint);
    post(endpoint, client, form, assertion, seconds)
}

fn post(
    url: &str,
    (client_id, authentication): (&str, &ClientAuthentication),
    mut form: Form,
    assertion: Option<&str>,
    seconds: u64,
) -> ProviderRequest {
    let mut fields = vec![
        ("accept", "application/json".to_owned()),
        ("content-type", "application/x-www-form-urlencoded".to_owned()),
    ];
    authenticate(client_id, authentication, assertion, &mut form, &mut fields);
    ProviderRequest { url: url.to_owned(), service: None, fields, body: Some(form.into_text()), seconds }
}
