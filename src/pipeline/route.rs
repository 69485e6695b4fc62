//! The second stage: the target of a request.

use std::rc::Rc;

use sha2::{Digest as _, Sha256};

use crate::oauth::bearer;
use crate::oauth::endpoint::Endpoint;
use crate::pipeline::admit::Admitted;
use crate::pipeline::context::RequestContext;
use crate::pipeline::rejection::Rejection;
use crate::resource::document::{self, PublicDocument};
use crate::settings::Settings;
use crate::settings::resource::{PublicPath, Resource};
use crate::transport::cors;
use crate::transport::head::{Fields, Method, content_length, is_plain};
use crate::transport::web_origin::WebOriginCheck;

/// The target of a request.
#[derive(Debug)]
pub enum Routed {
    /// A document that the gateway itself publishes without authentication.
    Document(PublicDocument, Method),
    /// The gateway's counters; the caller sent the secret for them.
    Metrics,
    /// The landing page, and whether the client accepts HTML.
    LandingPage(Method, bool),
    /// A CORS preflight of a browser, with the fields of its answer.
    Preflight(Fields),
    /// An endpoint of the authorization server.
    AuthorizationServer(EndpointRequest),
    /// A path that the configuration makes public.
    Public(PublicRequest),
    /// A protected resource.
    Resource(ResourceRequest),
}

/// A request for a public path.
#[derive(Debug)]
pub struct PublicRequest {
    admitted: Admitted,
    path: Rc<PublicPath>,
}

impl PublicRequest {
    /// The request.
    #[must_use]
    pub fn admitted(&self) -> &Admitted {
        &self.admitted
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &PublicPath {
        &self.path
    }
}

/// A request for one protected resource, not from a foreign web origin, with a method and a media type that the
/// resource accepts.
#[derive(Debug)]
pub struct ResourceRequest {
    admitted: Admitted,
    resource: Rc<Resource>,
    below: String,
}

impl ResourceRequest {
    /// The request.
    #[must_use]
    pub fn admitted(&self) -> &Admitted {
        &self.admitted
    }

    /// The resource.
    #[must_use]
    pub fn resource(&self) -> &Rc<Resource> {
        &self.resource
    }

    /// The part of the path below the path of the resource.
    #[must_use]
    pub fn below(&self) -> &str {
        &self.below
    }
}

/// The media type of messages. JSON is in UTF-8, and has no parameter (RFC 8259 §8.1, §11).
pub const JSON: &str = "application/json";

/// Methods of an MCP endpoint: POST in both eras, GET and DELETE in the legacy era (L1, L5).
const RESOURCE_METHODS: &str = "POST, GET, DELETE, OPTIONS";
const PUBLIC_METHODS: &str = "GET, HEAD, OPTIONS";

/// Finds the target of a request, in this order:
///
/// 1. an endpoint of the authorization server, if this gateway is one;
/// 2. a public document, which any page may read; GET, HEAD and OPTIONS, else 405;
/// 3. `/metrics` with its secret, if configured; without the secret 404;
/// 4. the landing page at `/`, if configured, and unless a resource or public path has that path;
/// 5. a path of `public_paths`, exactly;
/// 6. the resource with the longest path that contains the path of the request, on whole segments; if a more lenient
///    reading of the path leads to another resource, 404.
///
/// For a public path and for a resource it then checks that:
///
/// 1. no access token is in the query (R12), else 400;
/// 2. the page that sent the request is allowed, else 403 (T1);
/// 3. the target accepts the method, else 405;
/// 4. for a resource: the MCP header fields are visible ASCII (T12), else 400;
/// 5. for a resource: `Content-Length` is a number, else 400, that does not exceed the limit, else 413; and the body of
///    a POST is `application/json` in UTF-8, else 415.
///
/// # Errors
/// The [`Rejection`] of the first check that fails.
pub fn route(admitted: Admitted, settings: &Settings, context: &mut RequestContext) -> Result<Routed, Rejection> {
    context.audit.note_era(admitted.era());
    let method = admitted.head().method;
    if let Some(own) = &settings.own_issuer
        && let Some(endpoint) = Endpoint::find(admitted.path().as_str(), &own.path)
    {
        match &endpoint {
            // The id is text of the caller.
            Endpoint::Client(_) => context.audit.note_path(&format!("{}/register", own.path)),
            Endpoint::Signals(_) => context.audit.note_path(&format!("{}/signals", own.path)),
            Endpoint::Approval(_) => context.audit.note_path(&format!("{}/approvals", own.path)),
            _ => context.audit.note_path(admitted.path().as_str()),
        }
        return route_endpoint(endpoint, admitted, context);
    }
    if let Some(document) = document::find(admitted.path(), settings) {
        context.audit.note_path(admitted.path().as_str());
        context.allow_any_page();
        return match method {
            Method::Get | Method::Head | Method::Options => Ok(Routed::Document(document, method)),
            _ => Err(Rejection::MethodNotAllowed { allow: PUBLIC_METHODS }),
        };
    }
    if let Some(secret) = &settings.metrics
        && admitted.path().as_str() == "/metrics"
    {
        let shown = admitted.head().fields.get("authorization").and_then(|field| field.split_once(' '));
        let shown = shown.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token);
        // Compares digests, so that the time of the comparison reveals nothing about the secret.
        let good = shown.is_some_and(|shown| Sha256::digest(shown) == Sha256::digest(secret.expose()));
        if good {
            context.audit.note_path("/metrics");
        }
        // Without the secret, this path does not exist.
        return match method {
            _ if !good => Err(Rejection::NotFound),
            Method::Get => Ok(Routed::Metrics),
            _ => Err(Rejection::MethodNotAllowed { allow: "GET" }),
        };
    }
    if settings.landing_page && admitted.path().as_str() == "/" && !is_taken(settings) {
        context.audit.note_path("/");
        context.allow_any_page();
        let page = admitted.head().fields.get("accept").is_some_and(takes_pages);
        return match method {
            Method::Get | Method::Head => Ok(Routed::LandingPage(method, page)),
            _ => Err(Rejection::NotFound),
        };
    }
    let public = settings.public_paths.iter().find(|public| public.path == *admitted.path());
    let resource = if public.is_some() { None } else { Some(find(&admitted, settings)?) };
    context.resource = resource.map(|(resource, _)| Rc::clone(resource));
    if let Some(public) = public {
        context.audit.note_path(public.path.as_str());
    }
    if admitted.query().is_some_and(bearer::in_query) {
        return Err(Rejection::TokenInQuery);
    }
    match admitted.caller() {
        WebOriginCheck::Foreign => return Err(Rejection::ForeignOrigin),
        WebOriginCheck::Allowed(origin) => context.allow_page(origin.clone()),
        WebOriginCheck::NoBrowser => {}
    }
    let methods = if public.is_some() { PUBLIC_METHODS } else { RESOURCE_METHODS };
    let fields = &admitted.head().fields;
    if method == Method::Options {
        // Only browsers send preflights, with the method that they ask for; any other OPTIONS request is rejected as
        // any other method is.
        return match (admitted.caller(), fields.get("access-control-request-method")) {
            (WebOriginCheck::Allowed(origin), Some(_)) => {
                let more = resource.map_or(&[][..], |(resource, _)| &resource.forward_fields);
                let requested = fields.get("access-control-request-headers");
                Ok(Routed::Preflight(cors::preflight(origin, methods, requested, more)))
            }
            _ => Err(Rejection::MethodNotAllowed { allow: methods }),
        };
    }
    match (public, resource) {
        (Some(path), _) if matches!(method, Method::Get | Method::Head) => {
            Ok(Routed::Public(PublicRequest { path: Rc::clone(path), admitted }))
        }
        (None, Some((resource, below))) if matches!(method, Method::Post | Method::Get | Method::Delete) => {
            check_fields(&admitted, &resource.forward_fields)?;
            check_body(&admitted, resource.body_bytes)?;
            let (resource, below) = (Rc::clone(resource), below.to_owned());
            Ok(Routed::Resource(ResourceRequest { admitted, resource, below }))
        }
        _ => Err(Rejection::MethodNotAllowed { allow: methods }),
    }
}

fn route_endpoint(endpoint: Endpoint, admitted: Admitted, context: &mut RequestContext) -> Result<Routed, Rejection> {
    let method = admitted.head().method;
    let allow = endpoint.methods();
    if endpoint.is_for_any_page() {
        context.allow_any_page();
    }
    if !allow.split(", ").any(|name| name == method.as_str()) {
        return Err(Rejection::MethodNotAllowed { allow });
    }
    let is_document = matches!(endpoint, Endpoint::Metadata | Endpoint::Keys | Endpoint::ClientDocument(_));
    if method == Method::Options && !is_document {
        return Ok(Routed::Preflight(endpoint_preflight(allow)));
    }
    Ok(Routed::AuthorizationServer(EndpointRequest { admitted, endpoint }))
}

/// A page of any origin may call these endpoints: none of them reads a cookie.
fn endpoint_preflight(allow: &str) -> Fields {
    let mut fields = Fields::new();
    fields.set("access-control-allow-origin", "*");
    fields.set("access-control-allow-methods", allow);
    fields.set("access-control-allow-headers", "*, authorization");
    fields.set("access-control-max-age", "7200");
    fields
}

/// Whether the configuration has a resource or a public path at the root.
fn is_taken(settings: &Settings) -> bool {
    let resources = settings.resources.iter().map(|resource| &resource.path);
    resources.chain(settings.public_paths.iter().map(|public| &public.path)).any(|path| path.as_str() == "/")
}

/// The resource that a request is for, and the part of the path below the path of the resource.
fn find<'a>(admitted: &'a Admitted, settings: &'a Settings) -> Result<(&'a Rc<Resource>, &'a str), Rejection> {
    // Ranks candidates by the length of their folded path. It is unambiguous, because no two resources of a valid
    // configuration have equal folded paths.
    let longest = |lies_under: &dyn Fn(&Resource) -> bool| {
        let candidates = settings.resources.iter().filter(|resource| lies_under(resource));
        candidates.max_by_key(|resource| resource.path.folded().len())
    };
    let exact = longest(&|resource| admitted.path().under(&resource.path).is_some());
    let exact = exact.and_then(|resource| Some((resource, admitted.path().under(&resource.path)?)));
    let (exact, below) = exact.ok_or(Rejection::NotFound)?;
    let folded = admitted.path().folded();
    // Only the gateway answers for the well-known URIs of its host, never the origin server of a resource at the root.
    if folded.starts_with("/.well-known/") && exact.path.as_str() == "/" {
        return Err(Rejection::NotFound);
    }
    let lenient = longest(&|resource| {
        let base = resource.path.folded();
        base == "/" || folded.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    // A request for `/files/ADMIN` must not slip past the rules of `/files/admin` to a server that ignores case.
    if lenient.is_some_and(|lenient| Rc::ptr_eq(lenient, exact)) {
        Ok((exact, below))
    } else {
        Err(Rejection::NotFound)
    }
}

/// Checks the fields on whose values the origin server depends: a field that the gateway left out because of its value
/// could mean more than the client wanted (`X-MCP-Readonly`).
fn check_fields(admitted: &Admitted, forwarded: &[String]) -> Result<(), Rejection> {
    let of_mcp =
        |name: &str| name.starts_with("mcp-") || name == "last-event-id" || forwarded.iter().any(|field| field == name);
    let malformed = admitted.head().fields.iter().any(|(name, value)| of_mcp(name) && !is_plain(value));
    if malformed { Err(Rejection::MalformedField) } else { Ok(()) }
}

fn check_body(admitted: &Admitted, limit: u64) -> Result<(), Rejection> {
    let fields = &admitted.head().fields;
    if let Some(length) = fields.get("content-length") {
        let length = content_length(length).ok_or(Rejection::MalformedContentLength)?;
        if length > limit {
            return Err(Rejection::BodyTooLarge { limit: Some(limit) });
        }
    }
    if admitted.head().method == Method::Post {
        let mut parts = fields.get("content-type").unwrap_or_default().split(';').map(str::trim);
        if !parts.next().is_some_and(|media_type| media_type.eq_ignore_ascii_case(JSON)) || !parts.all(is_utf_8) {
            return Err(Rejection::UnsupportedMediaType);
        }
    }
    Ok(())
}

/// Whether a parameter of a media type is no charset other than UTF-8. A server that decodes the body in the charset of the
/// field (UTF-7, UTF-16) would read another message than the gateway.
fn is_utf_8(parameter: &str) -> bool {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    let value = value.trim().trim_matches('"');
    !name.trim().eq_ignore_ascii_case("charset")
        || ["utf-8", "utf8"].iter().any(|known| value.eq_ignore_ascii_case(known))
}

/// Whether `Accept` lists HTML with a weight above zero (RFC 9110 §12.5.1).
fn takes_pages(accept: &str) -> bool {
    accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let html = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("text/html"));
        // Zero, as `0` or `0.000`. The comparison is textual, because parsing fractions would add 10 KB of code.
        let unwanted = |weight: &str| !weight.is_empty() && weight.chars().all(|digit| matches!(digit, '0' | '.'));
        html && !parts.any(|part| part.strip_prefix("q=").is_some_and(unwanted))
    })
}

/// A request to an endpoint of the authorization server, with a method that the endpoint accepts.
#[derive(Debug)]
pub struct EndpointRequest {
    admitted: Admitted,
    endpoint: Endpoint,
}

impl EndpointRequest {
    /// The request.
    #[must_use]
    pub fn admitted(&self) -> &Admitted {
        &self.admitted
    }

    /// The endpoint.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// A field of the request.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.admitted.head().fields.get(name)
    }

    /// The network that the client is in.
    #[must_use]
    pub fn network(&self) -> String {
        self.admitted.head().network()
    }

    /// The value of a cookie (RFC 6265 §5.4); `None` if it appears twice, because the gateway cannot know which party
    /// set which.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let pairs = self.field("cookie")?.split(';').filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(known, _)| *known == name).map(|(_, value)| value);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    /// Whether a page of this gateway sent the request: browsers set these fields, and a page of another site cannot
    /// change them.
    #[must_use]
    pub fn is_from(&self, web_origin: &str) -> bool {
        let site = self.field("sec-fetch-site");
        self.field("origin") == Some(web_origin) && site.is_none_or(|site| site == "same-origin")
    }

    /// The media type of its body, in lower case.
    #[must_use]
    pub fn media_type(&self) -> String {
        let field = self.field("content-type").unwrap_or_default();
        field.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }
}
