//! Issuers: authorization servers whose tokens are accepted.

use crate::config::Mistakes;
use crate::config::document::IssuerDocument;
use crate::jwks::key::{JwsAlgorithm, VerificationKey};
use crate::jwks::spki::parse_public_key;
use crate::limits::{LEEWAY, LEEWAY_MAX};
use crate::transport::url::HttpUrl;

/// An issuer and what its tokens must look like.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// The name in logs.
    pub name: String,
    /// The issuer identifier, compared byte for byte.
    pub identifier: String,
    /// Where its keys come from.
    pub keys: IssuerKeys,
    /// Algorithms that its tokens may use (RFC 8725 §3.1).
    pub algorithms: Vec<JwsAlgorithm>,
    /// Values of `typ` that mark an access token (RFC 9068 §4).
    pub token_types: Vec<TokenType>,
    /// Seconds by which clocks may differ.
    pub leeway: u64,
}

/// Where the keys of an issuer come from.
#[derive(Debug, Clone)]
pub enum IssuerKeys {
    /// From its metadata.
    Discovered(HttpUrl),
    /// From this JWK set.
    At(String),
    /// One key, known beforehand.
    Static(Box<VerificationKey>),
}

/// A `typ` header that is accepted, in lower case and without `application/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenType {
    /// No `typ` at all.
    Absent,
    /// This one.
    Named(String),
}

impl TokenType {
    /// The type that a token's header names (RFC 7515 §4.1.9: case does not matter, `application/` may be left out).
    #[must_use]
    pub fn of(typ: Option<&str>) -> Self {
        typ.map_or(Self::Absent, |typ| {
            let typ = typ.to_ascii_lowercase();
            Self::Named(typ.strip_prefix("application/").unwrap_or(&typ).to_owned())
        })
    }
}

const DEFAULT_ALGORITHMS: [JwsAlgorithm; 3] = [JwsAlgorithm::Rs256, JwsAlgorithm::Es256, JwsAlgorithm::EdDsa];

pub(super) fn read(document: &IssuerDocument, at: &str, development: bool, mistakes: &mut Mistakes) -> Option<Issuer> {
    let before = mistakes.lines().len();
    let name = &document.name;
    let name_fits = (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if !name_fits {
        mistakes.note(format!("{at}.name"), format_args!("must be 1 to 64 letters, digits, -, _ or ., got {name:?}"));
    }
    let url = protected_url(&document.issuer, &format!("{at}.issuer"), development, mistakes);
    if url.as_ref().is_some_and(|url| url.query().is_some()) {
        mistakes.note(format!("{at}.issuer"), "must not have a query (RFC 8414 §2)");
    }
    let keys = match (&document.public_key, &document.jwks_uri) {
        (Some(_), Some(_)) => {
            mistakes.note(format!("{at}.public_key"), "excludes jwks_uri: a key is either static or fetched");
            None
        }
        (Some(text), None) => mistakes
            .keep(format!("{at}.public_key"), parse_public_key(text))
            .map(|key| IssuerKeys::Static(Box::new(key))),
        (None, Some(uri)) => {
            protected_url(uri, &format!("{at}.jwks_uri"), development, mistakes).map(|_| IssuerKeys::At(uri.clone()))
        }
        (None, None) => url.map(IssuerKeys::Discovered),
    };
    let algorithms = algorithms(document, at, mistakes);
    if let Some(IssuerKeys::Static(key)) = &keys
        && !algorithms.iter().any(|&algorithm| key.fits(algorithm))
    {
        mistakes.note(format!("{at}.algorithms"), "names no algorithm that fits public_key");
    }
    let token_types = match &document.token_types {
        None => vec![TokenType::Named("at+jwt".to_owned())],
        Some(types) if types.is_empty() => {
            mistakes.note(format!("{at}.token_types"), "must name at least one type, as [\"at+jwt\"]");
            Vec::new()
        }
        Some(types) => {
            types.iter().map(|typ| if typ == "absent" { TokenType::Absent } else { TokenType::of(Some(typ)) }).collect()
        }
    };
    let leeway = document.leeway_seconds.unwrap_or(LEEWAY);
    if leeway > LEEWAY_MAX {
        mistakes.note(format!("{at}.leeway_seconds"), format_args!("must be 0 to {LEEWAY_MAX}, got {leeway}"));
    }
    let keys = keys?;
    (mistakes.lines().len() == before).then(|| Issuer {
        name: name.clone(),
        identifier: document.issuer.clone(),
        keys,
        algorithms,
        token_types,
        leeway,
    })
}

fn algorithms(document: &IssuerDocument, at: &str, mistakes: &mut Mistakes) -> Vec<JwsAlgorithm> {
    let Some(names) = &document.algorithms else {
        return DEFAULT_ALGORITHMS.to_vec();
    };
    if names.is_empty() {
        mistakes.note(format!("{at}.algorithms"), "must name at least one algorithm");
    }
    let known = JwsAlgorithm::ALL.map(JwsAlgorithm::as_str).join(", ");
    let read = names.iter().enumerate().filter_map(|(index, name)| {
        let algorithm = JwsAlgorithm::parse(name);
        if algorithm.is_none() {
            let path = format!("{at}.algorithms[{index}]");
            mistakes.note(path, format_args!("must be one of {known}, got {name:?}"));
        }
        algorithm
    });
    read.collect()
}

/// A URL that credentials or keys may travel to or from.
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

/// A value in the words of a mistake. What might hold a password is not repeated.
fn shown(text: &str) -> String {
    if text.contains('@') { "a URL with @, which is not repeated here".to_owned() } else { format!("{text:?}") }
}
