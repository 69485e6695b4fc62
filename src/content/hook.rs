//! Hooks: services of the operator that are asked about calls before they are forwarded, and about messages of servers before clients get
//! them. `docs/trust.md` has the contract.

use std::rc::Rc;

use serde_json::{Map, Value, json};

use crate::content::guard::{Direction, is_about};
use crate::mcp::operation::Operation;
use crate::oauth::scope::ScopeHierarchy;
use crate::policy::caller::Caller;
use crate::policy::rule::{Targets, When};
use crate::secret::Secret;
use crate::strict_json;
use crate::token::principal::CredentialKind;
use crate::transport::provider::{ProviderDocument, ProviderRequest};

/// The version of the contract.
pub const VERSION: u64 = 1;

/// Most characters of the message of a hook that denies.
const MESSAGE_CHARS: usize = 500;

/// A hook.
#[derive(Debug, Clone)]
pub struct Hook {
    /// Its id in the log.
    pub id: String,
    /// Its URL. Behind a service binding, the host means nothing.
    pub url: String,
    /// The service binding; `None` if it is asked over the network.
    pub service: Option<String>,
    /// The bearer token that it gets, if it gets one.
    pub secret: Option<Rc<Secret>>,
    /// What it is asked about.
    pub on: Vec<Direction>,
    /// The operations that it is asked about.
    pub targets: Targets,
    /// The callers that it is asked about.
    pub when: When,
    /// Seconds within which its answer must have arrived.
    pub seconds: u64,
    /// Whether a message passes if the hook does not answer as the contract says.
    pub opens: bool,
    /// Most bytes of what it is asked about. More is a failure of the hook.
    pub bytes: u64,
}

/// What hooks are asked about, besides the message.
#[derive(Debug, Clone)]
pub struct About {
    /// The id of the request in the log.
    pub request: String,
    /// The path of the resource.
    pub resource: String,
    /// The MCP method.
    pub method: String,
    /// The name of the tool or prompt, or the URI of the resource.
    pub name: Option<String>,
    /// The caller.
    pub caller: Caller,
}

/// What a hook says.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// The message passes.
    Pass,
    /// It does not; the words for the model.
    Deny(String),
    /// This value takes its place.
    Replace(Value),
}

/// The hooks that are asked about a message of a caller, in order.
#[must_use]
pub fn asked<'a>(
    hooks: &'a [Rc<Hook>],
    direction: Direction,
    operations: Option<&[Operation]>,
    (caller, scopes): (&Caller, &ScopeHierarchy),
) -> Vec<&'a Rc<Hook>> {
    let is_asked = |hook: &&Rc<Hook>| {
        let is_about = |operation| is_about(&hook.targets, operation);
        hook.on.contains(&direction)
            && operations.is_none_or(|operations| operations.iter().any(is_about))
            && hook.when.fails_for(caller, scopes).is_none()
    };
    hooks.iter().filter(is_asked).collect()
}

/// The member of a question and of an answer that has what the hook is asked about.
#[must_use]
pub fn member(direction: Direction) -> &'static str {
    match direction {
        Direction::Arguments => "arguments",
        Direction::Results => "message",
    }
}

impl Hook {
    /// The question about a value, which is strict JSON, and about the client's message where the value is not all of it; `None` if they are
    /// larger than the hook gets.
    #[must_use]
    pub fn question(
        &self,
        about: &About,
        direction: Direction,
        (value, whole): (&str, Option<&str>),
    ) -> Option<ProviderRequest> {
        if (value.len() + whole.map_or(0, str::len)) as u64 > self.bytes {
            return None;
        }
        let subject = &about.caller.subject;
        let caller = if subject.kind == CredentialKind::Anonymous {
            Value::Null
        } else {
            json!({
                "issuer": subject.issuer, "subject": subject.subject, "client": subject.client,
                "scopes": subject.scopes.to_string(), "roles": subject.rights.roles, "groups": subject.rights.groups,
            })
        };
        let rest = json!({
            "version": VERSION, "phase": direction.as_str(), "request": about.request, "resource": about.resource,
            "method": about.method, "name": about.name, "caller": caller,
        });
        let rest = rest.to_string();
        let whole = whole.map_or_else(String::new, |whole| format!(",\"message\":{whole}"));
        let body = format!("{},\"{}\":{value}{whole}}}", rest.strip_suffix('}')?, member(direction));
        let mut fields =
            vec![("accept", "application/json".to_owned()), ("content-type", "application/json".to_owned())];
        if let Some(secret) = &self.secret {
            fields.push(("authorization", format!("Bearer {}", secret.expose())));
        }
        Some(ProviderRequest {
            url: self.url.clone(),
            service: self.service.clone(),
            fields,
            body: Some(body),
            seconds: self.seconds,
        })
    }
}

/// Reads the answer of a hook.
///
/// # Errors
/// Why it is none of the contract.
pub fn read(document: &ProviderDocument, direction: Direction) -> Result<Said, &'static str> {
    if document.status != 200 {
        return Err("its status is not 200");
    }
    if !document.is_json() {
        return Err("its answer is not application/json");
    }
    let Ok(Value::Object(mut members)) = strict_json::parse(&document.body) else {
        return Err("its answer is no strict JSON object");
    };
    // Many serializers write `null` for what is absent.
    let (action, reason) = (members.remove("action"), members.remove("reason").filter(|reason| !reason.is_null()));
    let value = members.remove(member(direction));
    if !members.is_empty() {
        return Err("its answer has a member that the contract does not have");
    }
    match (action.as_ref().and_then(Value::as_str), value, reason) {
        (Some("pass"), None, None) => Ok(Said::Pass),
        (Some("deny"), None, None) => Ok(Said::Deny(String::new())),
        (Some("deny"), None, Some(Value::String(words))) => Ok(Said::Deny(words.chars().take(MESSAGE_CHARS).collect())),
        (Some("replace"), Some(value @ Value::Object(_)), None) => Ok(Said::Replace(value)),
        _ => Err("its answer is neither pass, nor deny with a reason, nor replace with an object"),
    }
}

/// Whether a message may take the place of another: it answers the same request, or is the same request or notification.
#[must_use]
pub fn may_replace(message: &Map<String, Value>, by: &Map<String, Value>) -> bool {
    ["jsonrpc", "id", "method"].iter().all(|name| message.get(*name) == by.get(*name))
        && message.contains_key("result") == by.contains_key("result")
        && message.contains_key("error") == by.contains_key("error")
}
