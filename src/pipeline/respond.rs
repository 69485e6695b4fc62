//! The gateway's own answers, and the fields that it adds to the answers of origin servers.

use crate::content::examined::HeldBack;
use crate::content::filter::refused_call;
use crate::content::guard::Direction;
use crate::mcp::envelope::{ErrorData, RequestId, error_body_with};
use crate::mcp::input_needed::Asked;
use crate::oauth::bearer::AuthScheme;
use crate::oauth::challenge::{BearerError, Challenge};
use crate::oauth::scope::ScopeSet;
use crate::pipeline::context::{Readers, RequestContext};
use crate::pipeline::disclosure::{ChallengeKind, Disclosure, INVALID_PARAMS};
use crate::pipeline::rejection::{ApprovalNeeded, ConnectionNeeded, Rejection};
use crate::resource::document::metadata_url;
use crate::settings::Settings;
use crate::token::binding::Requirement;
use crate::transport::cors;
use crate::transport::head::{Fields, Method};
use crate::transport::url::Scheme;

/// An answer of the gateway itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The fields.
    pub fields: Fields,
    /// The body; empty if there is none.
    pub body: String,
}

/// An answer with the fields that all of the gateway's own answers have.
#[must_use]
pub fn own(status: u16, mut fields: Fields, body: String, context: &RequestContext, settings: &Settings) -> Answer {
    harden(&mut fields, Some(settings));
    complete(&mut fields, context, settings);
    Answer { status, fields, body }
}

/// The status for a rejected message that expects no JSON-RPC response: an HTTP error, as T5 and L3 require.
const NOTIFICATION_REFUSED: u16 = 403;

/// The answer for a rejected request.
#[must_use]
pub fn refusal(rejection: &Rejection, id: &RequestId, context: &RequestContext, settings: Option<&Settings>) -> Answer {
    let disclosure = rejection.disclose();
    let mut fields = Fields::new();
    fields.set("content-type", "application/json");
    if let Some(challenges) = settings.and_then(|settings| challenges(rejection, &disclosure, context, settings)) {
        let challenges: Vec<String> = challenges.iter().map(Challenge::to_field).collect();
        fields.set("www-authenticate", challenges.join(", "));
    }
    if let Some(seconds) = disclosure.retry_after {
        fields.set("retry-after", seconds.to_string());
    }
    if let Some(methods) = disclosure.allow {
        fields.set("allow", methods);
    }
    harden(&mut fields, settings);
    match settings {
        Some(settings) => complete(&mut fields, context, settings),
        None => fields.set("x-request-id", context.request_id.as_str()),
    }
    let body = match context.method {
        Method::Head => String::new(),
        _ => error_body_with(id, (disclosure.code, disclosure.message), disclosure.data, &context.request_id),
    };
    let status = if disclosure.status == 200 && !id.is_known() { NOTIFICATION_REFUSED } else { disclosure.status };
    Answer { status, fields, body }
}

/// The answer for a request whose user has to connect an account. It has the URL: a client that can show it to its user is asked to,
/// and the others get it in words.
#[must_use]
pub fn connection_needed(
    needed: &ConnectionNeeded,
    asked: &Asked,
    context: &RequestContext,
    settings: &Settings,
) -> Answer {
    let (status, body) = asked.answer(needed.era, &needed.message(), &needed.url, &context.request_id);
    let mut fields = Fields::new();
    fields.set("content-type", "application/json");
    let body = if context.method == Method::Head { String::new() } else { body };
    own(status, fields, body, context, settings)
}

/// The answer for a call that waits for the approval of a person.
#[must_use]
pub fn approval_needed(needed: &ApprovalNeeded, context: &RequestContext, settings: &Settings) -> Answer {
    let ApprovalNeeded { id, url, state, asked, message, era } = needed;
    let (status, body) = asked.approval(*era, (message, url), (state, id));
    let mut fields = Fields::new();
    fields.set("content-type", "application/json");
    own(status, fields, body, context, settings)
}

/// The answer for a call that does not pass because of what it contains: the result of a tool that failed, so that a model reads why, or
/// an error.
#[must_use]
pub fn held_back(held: &HeldBack, context: &RequestContext, settings: &Settings) -> Answer {
    let words = held.fault.words(Direction::Arguments);
    let body = if held.is_tool && held.id.is_known() {
        refused_call(&held.id, held.era, &words)
    } else {
        error_body_with(&held.id, (INVALID_PARAMS, &words), ErrorData::None, &context.request_id)
    };
    let mut fields = Fields::new();
    fields.set("content-type", "application/json");
    own(if held.id.is_known() { 200 } else { NOTIFICATION_REFUSED }, fields, body, context, settings)
}

/// The challenges of a rejection (R4 to R9): if the resource is known, one for each scheme that it accepts. `Bearer`
/// comes first, because clients that know only `Bearer` stop reading at another scheme. Only the challenge of the
/// scheme that the caller used has the error; if it used none of them, the first challenge has it.
fn challenges(
    rejection: &Rejection,
    disclosure: &Disclosure,
    context: &RequestContext,
    settings: &Settings,
) -> Option<Vec<Challenge>> {
    let error = match disclosure.challenge {
        ChallengeKind::No => return None,
        ChallengeKind::Plain => None,
        ChallengeKind::Error(error) => Some((error, disclosure.message)),
    };
    let resource = context.resource.as_ref()?;
    let scope = resource.advertised(&match (error, rejection) {
        // Other scopes do not help with a malformed request.
        (Some((BearerError::InvalidRequest, _)), _) => ScopeSet::default(),
        (_, Rejection::InsufficientScope { needed, .. } | Rejection::SignInNotEnough { needed, .. }) => needed.clone(),
        _ => resource.scopes.clone(),
    });
    let sign_in = match rejection {
        Rejection::SignInNotEnough { sign_in, .. } => Some(sign_in),
        _ => None,
    };
    let schemes: &[AuthScheme] = match resource.dpop {
        Requirement::Off => &[AuthScheme::Bearer],
        Requirement::Optional => &[AuthScheme::Bearer, AuthScheme::Dpop],
        Requirement::Required => &[AuthScheme::Dpop],
    };
    let used = context.scheme.filter(|used| schemes.contains(used)).or(schemes.first().copied());
    let challenge = |&scheme: &AuthScheme| Challenge {
        scheme,
        error: error.filter(|_| used == Some(scheme)),
        scope: scope.clone(),
        max_age: sign_in.and_then(|it| it.max_age),
        acr_values: sign_in.map(|it| it.acr.clone()).unwrap_or_default(),
        realm: resource.identifier.clone(),
        resource_metadata: metadata_url(resource, &settings.public_url),
    };
    Some(schemes.iter().map(challenge).collect())
}

/// Security fields of the gateway's own answers. By default no cache may store them.
fn harden(fields: &mut Fields, settings: Option<&Settings>) {
    if fields.get("cache-control").is_none() {
        fields.set("cache-control", "no-store");
    }
    // HTML pages set their own values.
    for (name, value) in
        [("content-security-policy", "default-src 'none'; frame-ancestors 'none'"), ("referrer-policy", "no-referrer")]
    {
        if fields.get(name).is_none() {
            fields.set(name, value);
        }
    }
    fields.set("x-content-type-options", "nosniff");
    if settings.is_some_and(|settings| settings.public_url.scheme() == Scheme::Https) {
        fields.set("strict-transport-security", "max-age=31536000");
    }
}

/// Adds what every answer gets, including those of origin servers: the request's id, and the fields that say which
/// pages may read the answer.
pub fn complete(fields: &mut Fields, context: &RequestContext, settings: &Settings) {
    fields.set("x-request-id", context.request_id.as_str());
    if let Some(nonce) = &context.dpop_nonce {
        fields.set("dpop-nonce", nonce.as_str());
    }
    match &context.readers {
        Readers::Any => {}
        Readers::Page(origin) => {
            cors::grant(fields, origin);
            fields.set("vary", VARY);
        }
        Readers::None => fields.set("vary", VARY),
    }
    if settings.development {
        fields.set("server-timing", timing(context));
    }
}

/// The request fields that decide whether a page may read an answer, and what a preflight answers.
const VARY: &str = "origin, access-control-request-headers";

fn timing(context: &RequestContext) -> String {
    let origin = context.origin_ms.map_or_else(String::new, |spent| format!(", origin;dur={spent}"));
    format!("authentication;dur={}{origin}", context.authentication_ms)
}
