//! The second stage: what a request is for.

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
use crate::transport::head::{Fields, Method, is_plain};
use crate::transport::web_origin::Caller;

/// What a request is for.
#[derive(Debug)]
pub enum Routed {
    /// A document that the gateway itself publishes to everyone.
    Document(PublicDocument, Method),
    /// Counters, for who showed the secret.
    Metrics,
    /// The landing page, and whether the caller takes HTML.
    LandingPage(Method, bool),
    /// A browser's preflight, with the fields of its answer.
    Preflight(Fields),
    /// An endpoint of the authorization server.
    AuthorizationServer(EndpointRequest),
    /// A path that configuration opens to everyone.
    Public(PublicRequest),
    /// A protected resource.
    Resource(ResourceRequest),
}

/// A request for a path that is open to everyone.
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

/// A request for one protected resource, from no foreign page, with a method and a media type that it takes.
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

    /// What of the path is below that of the resource.
    #[must_use]
    pub fn below(&self) -> &str {
        &self.below
    }
}

/// Methods of an MCP endpoint: POST in both eras, GET and DELETE in the legacy one (L1, L5).
const RESOURCE_METHODS: &str = "POST, GET, DELETE, OPTIONS";
const PUBLIC_METHODS: &str = "GET, HEAD, OPTIONS";

/// Finds what a request is for, and holds it to what that takes:
///
/// 1. an endpoint of the authorization server, where this gateway is one;
/// 1. a public document: any page may read it; GET, HEAD and OPTIONS, else 405;
/// 2. a path of `public_paths`, exactly;
/// 3. the resource with the longest path that the request's lies under, on whole segments; where a more lenient
///    reading of the path would lead elsewhere, 404;
/// 4. no access token is in the query (R12), else 400;
/// 5. the page that sent it is allowed, else 403 (T1);
/// 6. the method is one of the resource's, else 405;
/// 7. fields of MCP are visible ASCII (T12), else 400;
/// 8. a body is `application/json`, else 415, and not announced larger than allowed, else 413.
///
/// # Errors
/// The [`Rejection`] of the first check that fails.
pub fn route(admitted: Admitted, settings: &Settings, context: &mut RequestContext) -> Result<Routed, Rejection> {
    context.audit.note_era(admitted.era());
    let method = admitted.head().method;
    if let Some(own) = &settings.own_issuer
        && let Some(endpoint) = Endpoint::find(admitted.path().as_str(), &own.path)
    {
        return route_endpoint(endpoint, admitted, context);
    }
    if let Some(document) = document::find(admitted.path(), settings) {
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
        // Digests, so that the time it takes says nothing of the secret.
        let good = shown.is_some_and(|shown| Sha256::digest(shown) == Sha256::digest(secret.expose()));
        // To anybody else there is nothing here.
        return match method {
            _ if !good => Err(Rejection::NotFound),
            Method::Get => Ok(Routed::Metrics),
            _ => Err(Rejection::MethodNotAllowed { allow: "GET" }),
        };
    }
    if settings.landing_page && admitted.path().as_str() == "/" && !is_taken(settings) {
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
    if admitted.query().is_some_and(bearer::in_query) {
        return Err(Rejection::TokenInQuery);
    }
    match admitted.caller() {
        Caller::Foreign => return Err(Rejection::ForeignOrigin),
        Caller::Allowed(origin) => context.allow_page(origin.clone()),
        Caller::NoBrowser => {}
    }
    let methods = if public.is_some() { PUBLIC_METHODS } else { RESOURCE_METHODS };
    let fields = &admitted.head().fields;
    if method == Method::Options {
        // Only browsers ask, and they say for whom; anything else gets the refusal of any other method.
        return match (admitted.caller(), fields.get("access-control-request-method")) {
            (Caller::Allowed(origin), Some(_)) => {
                Ok(Routed::Preflight(cors::preflight(origin, methods, fields.get("access-control-request-headers"))))
            }
            _ => Err(Rejection::MethodNotAllowed { allow: methods }),
        };
    }
    match (public, resource) {
        (Some(path), _) if matches!(method, Method::Get | Method::Head) => {
            Ok(Routed::Public(PublicRequest { path: Rc::clone(path), admitted }))
        }
        (None, Some((resource, below))) if matches!(method, Method::Post | Method::Get | Method::Delete) => {
            check_fields(&admitted)?;
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
    let is_document = matches!(endpoint, Endpoint::Metadata | Endpoint::Keys);
    if method == Method::Options && !is_document {
        return Ok(Routed::Preflight(endpoint_preflight(allow)));
    }
    Ok(Routed::AuthorizationServer(EndpointRequest { admitted, endpoint }))
}

/// Any page may call these endpoints: none of them reads a cookie.
fn endpoint_preflight(allow: &str) -> Fields {
    let mut fields = Fields::new();
    fields.set("access-control-allow-origin", "*");
    fields.set("access-control-allow-methods", allow);
    fields.set("access-control-allow-headers", "*, authorization");
    fields.set("access-control-max-age", "7200");
    fields
}

/// Whether configuration has something else at the root.
fn is_taken(settings: &Settings) -> bool {
    let resources = settings.resources.iter().map(|resource| &resource.path);
    resources.chain(settings.public_paths.iter().map(|public| &public.path)).any(|path| path.as_str() == "/")
}

/// The resource that a request is for, and what of the path is below that of the resource.
fn find<'a>(admitted: &'a Admitted, settings: &'a Settings) -> Result<(&'a Rc<Resource>, &'a str), Rejection> {
    // Folded paths are what the lenient look compares; one of two that are equal when folded is none of them exactly.
    let longest = |lies_under: &dyn Fn(&Resource) -> bool| {
        let candidates = settings.resources.iter().filter(|resource| lies_under(resource));
        candidates.max_by_key(|resource| resource.path.folded().len())
    };
    let exact = longest(&|resource| admitted.path().under(&resource.path).is_some());
    let exact = exact.and_then(|resource| Some((resource, admitted.path().under(&resource.path)?)));
    let (exact, below) = exact.ok_or(Rejection::NotFound)?;
    let folded = admitted.path().folded();
    // What a host says of itself is the gateway's to say, and never the origin server's behind a resource at the root.
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

fn check_fields(admitted: &Admitted) -> Result<(), Rejection> {
    let of_mcp = |name: &str| name.starts_with("mcp-") || name == "last-event-id";
    let malformed = admitted.head().fields.iter().any(|(name, value)| of_mcp(name) && !is_plain(value));
    if malformed { Err(Rejection::MalformedField) } else { Ok(()) }
}

fn check_body(admitted: &Admitted, limit: u64) -> Result<(), Rejection> {
    let fields = &admitted.head().fields;
    if let Some(length) = fields.get("content-length") {
        let length = Some(length).filter(|length| length.bytes().all(|b| b.is_ascii_digit()));
        let length: u64 = length.and_then(|length| length.parse().ok()).ok_or(Rejection::MalformedContentLength)?;
        if length > limit {
            return Err(Rejection::BodyTooLarge { limit: Some(limit) });
        }
    }
    if admitted.head().method == Method::Post {
        let media_type = fields.get("content-type").unwrap_or_default().split(';').next().unwrap_or_default();
        if !media_type.trim().eq_ignore_ascii_case("application/json") {
            return Err(Rejection::UnsupportedMediaType);
        }
    }
    Ok(())
}

/// Whether `Accept` names HTML, and not as what is not wanted (RFC 9110 §12.5.1).
fn takes_pages(accept: &str) -> bool {
    accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let html = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("text/html"));
        // Zero, as `0` or `0.000`: reading numbers with fractions would be 10 KB of code.
        let unwanted = |weight: &str| !weight.is_empty() && weight.chars().all(|digit| matches!(digit, '0' | '.'));
        html && !parts.any(|part| part.strip_prefix("q=").is_some_and(unwanted))
    })
}

/// A request to an endpoint, with a method that it takes.
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

    /// What it is to.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// A field of the request.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.admitted.head().fields.get(name)
    }

    /// The value of a cookie (RFC 6265 §5.4); nothing where it is there twice, as nobody knows whose is whose then.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let pairs = self.field("cookie")?.split(';').filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(known, _)| *known == name).map(|(_, value)| value);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    /// Whether a page of this gateway sent it: browsers say so, and nobody else can make them.
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
