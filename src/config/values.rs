//! Readers of single values: secrets, URLs, names, numbers, bindings, scopes.

use crate::config::mistakes::Mistakes;
use crate::config::ranges::Range;
use crate::jwks::signing_key::SigningKey;
use crate::oauth::scope::{Scope, ScopeSet};
use crate::transport::url::HttpUrl;

/// Worker secrets, by name.
pub trait Secrets {
    /// The value of a secret, if the Worker has it.
    fn secret(&self, name: &str) -> Option<String>;

    /// Whether all values are placeholders, as in the command line, which has no secrets: what they are says nothing then.
    fn are_placeholders(&self) -> bool {
        false
    }
}

/// Fewest characters of a secret that the operator generates, such as a sealing key.
const SECRET_CHARS: usize = 32;

pub(super) fn read_secret(name: &str, at: &str, secrets: &dyn Secrets, mistakes: &mut Mistakes) -> Option<String> {
    let secret = secrets.secret(name);
    if secret.is_none() {
        mistakes.note(at, format_args!("there is no Worker secret {name:?}: `wrangler secret put {name}` sets it"));
    }
    secret
}

/// Reads signing keys: the first signs, and all are published.
pub(super) fn read_signing_keys(
    names: &[String],
    at: &str,
    secrets: &dyn Secrets,
    mistakes: &mut Mistakes,
) -> Vec<SigningKey> {
    if names.is_empty() {
        mistakes.note(at, "must name at least one secret");
    }
    let mut keys: Vec<SigningKey> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let at = format!("{at}[{index}]");
        let Some(text) = read_secret(name, &at, secrets, mistakes) else { continue };
        let Some(key) = mistakes.keep(&at, SigningKey::parse(&text)) else { continue };
        if !secrets.are_placeholders() && keys.iter().any(|other| other.id() == key.id()) {
            mistakes.note(&at, "is the same key as an earlier entry");
        }
        keys.push(key);
    }
    keys
}

/// Reads a secret that must have at least `SECRET_CHARS` characters.
pub(super) fn read_long_secret(name: &str, at: &str, secrets: &dyn Secrets, mistakes: &mut Mistakes) -> Option<String> {
    let secret = read_secret(name, at, secrets, mistakes)?;
    if secret.chars().count() < SECRET_CHARS {
        mistakes.note(at, format_args!("the secret must have {SECRET_CHARS} characters or more"));
    }
    Some(secret)
}

/// Whether a text may be a name that the log shows and that other keys of the configuration refer to.
pub(super) fn is_name(name: &str) -> bool {
    // In a path, these names are none.
    let is_path = name == "." || name == "..";
    !is_path
        && (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Notes an issuer identifier that is the URL of the issuer's metadata.
pub(super) fn note_metadata_url(identifier: &str, at: &str, mistakes: &mut Mistakes) {
    let end = identifier.find("/.well-known/").or_else(|| Some(identifier.strip_suffix("/.well-known")?.len()));
    if let Some(issuer) = end.and_then(|end| identifier.get(..end)) {
        mistakes.note(at, format_args!("must be the issuer identifier, {issuer:?}, and not the URL of its metadata"));
    }
}

/// Reads a URL to which the gateway sends credentials, or from which it fetches keys.
pub(super) fn protected_url(text: &str, at: &str, development: bool, mistakes: &mut Mistakes) -> Option<HttpUrl> {
    match HttpUrl::parse(text) {
        Ok(url) if url.is_protected(development) => Some(url),
        Ok(_) => {
            let loopback = if development { " (http only for loopback)" } else { "" };
            mistakes.note(at, format_args!("must be https{loopback}, got {}", shown(text)));
            None
        }
        Err(error) => {
            mistakes.note(at, format_args!("{error}, got {}", shown(text)));
            None
        }
    }
}

/// A value as a mistake shows it. A value that might contain a password is not shown.
fn shown(text: &str) -> String {
    if text.contains('@') { "a URL with @, which is not repeated here".to_owned() } else { format!("{text:?}") }
}

/// A number in its range; its default, where it is absent.
pub(super) fn bounded(value: Option<u64>, range: Range, at: &str, mistakes: &mut Mistakes) -> u64 {
    let Range { default, least, most } = range;
    let value = value.unwrap_or(default);
    if !(least..=most).contains(&value) {
        mistakes.note(at, format_args!("must be {least} to {most}, got {value}"));
    }
    value
}

pub(super) fn read_binding(name: Option<&String>, at: &str, mistakes: &mut Mistakes) -> Option<String> {
    let name = name?;
    if name.is_empty() {
        mistakes.note(at, "must be the name of a binding");
    }
    Some(name.clone())
}

pub(super) fn read_scopes(names: &[String], at: &str, mistakes: &mut Mistakes) -> ScopeSet {
    let scopes = names.iter().enumerate();
    scopes.filter_map(|(index, name)| mistakes.keep(format!("{at}[{index}]"), Scope::parse(name))).collect()
}
