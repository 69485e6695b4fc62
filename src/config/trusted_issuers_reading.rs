//! Reads the issuers whose assertions the authorization server accepts, and the workloads that clients are.

use crate::authorization_server::client::Workload;
use crate::authorization_server::login::{Login, carried_as};
use crate::authorization_server::trusted_issuer::{
    IdJagRules, PolledTransmitter, SignalDelivery, SignalRules, TrustedIssuer, TrustedKeys,
};
use crate::config::login_reading::{People, read_admission};
use crate::config::mistakes::Mistakes;
use crate::config::ranges;
use crate::config::trusted_issuers_document::{
    IdJagDocument, PollDocument, SignalsDocument, TrustedIssuerDocument, WorkloadDocument,
};
use crate::config::values::{
    Secrets, bounded, is_name, note_metadata_url, protected_url, read_long_secret, read_secret,
};
use crate::jwks::key_set::KeySet;
use crate::policy::pattern::Pattern;
use crate::secret::Secret;
use crate::token::issuer::Issuer;

/// What the entries refer to.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) login: &'a Login,
    pub(super) other_logins: &'a [Login],
    /// The issuer identifier of the authorization server.
    pub(super) own: &'a str,
    /// The issuers whose tokens the gateway accepts.
    pub(super) issuers: &'a [Issuer],
    pub(super) development: bool,
    pub(super) secrets: &'a dyn Secrets,
}

pub(super) fn read(
    entries: &[TrustedIssuerDocument],
    around: Surroundings<'_>,
    mistakes: &mut Mistakes,
) -> Vec<TrustedIssuer> {
    let mut issuers: Vec<TrustedIssuer> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let at = format!("authorization_server.trusted_issuers[{index}]");
        if issuers.iter().any(|other| other.name == entry.name) {
            mistakes.note(format_args!("{at}.name"), format_args!("{:?} is the name of another entry too", entry.name));
        }
        if issuers.iter().any(|other| other.identifier == entry.issuer) {
            mistakes.note(
                format_args!("{at}.issuer"),
                format_args!("{:?} is the issuer of another entry too", entry.issuer),
            );
        }
        issuers.extend(read_issuer(entry, index, &at, around, mistakes));
    }
    issuers
}

fn read_issuer(
    entry: &TrustedIssuerDocument,
    index: usize,
    at: &str,
    around: Surroundings<'_>,
    mistakes: &mut Mistakes,
) -> Option<TrustedIssuer> {
    let name = &entry.name;
    if !is_name(name) {
        mistakes
            .note(format_args!("{at}.name"), format_args!("must be 1 to 64 letters, digits, -, _ or ., got {name:?}"));
    }
    let keys = read_keys(entry, at, around.development, mistakes);
    let most_seconds =
        bounded(entry.max_assertion_seconds, ranges::ASSERTION, &format!("{at}.max_assertion_seconds"), mistakes);
    for (key, list) in [("audiences", &entry.audiences), ("token_claims", &entry.token_claims)] {
        if list.as_ref().is_some_and(|list| list.iter().any(String::is_empty)) {
            mistakes.note(format_args!("{at}.{key}"), "must not have an empty entry");
        }
    }
    for (place, claim) in entry.token_claims.iter().flatten().enumerate() {
        mistakes.keep(format_args!("{at}.token_claims[{place}]"), carried_as(claim, ""));
    }
    let id_jag =
        entry.id_jag.as_ref().map(|table| read_id_jag(table, entry, around, &format!("{at}.id_jag"), mistakes));
    let signals = entry.signals.as_ref();
    let signals = signals.map(|table| read_signals(table, entry, &format!("{at}.signals"), around, mistakes));
    Some(TrustedIssuer {
        signals,
        index,
        name: name.clone(),
        identifier: entry.issuer.clone(),
        keys: keys?,
        audiences: entry.audiences.clone().unwrap_or_default(),
        most_seconds,
        id_jag,
        token_claims: entry.token_claims.clone().unwrap_or_default(),
    })
}

fn read_keys(
    entry: &TrustedIssuerDocument,
    at: &str,
    development: bool,
    mistakes: &mut Mistakes,
) -> Option<TrustedKeys> {
    let given = [entry.jwks.is_some(), entry.jwks_uri.is_some(), entry.metadata_url.is_some()];
    if given.into_iter().filter(|given| *given).count() > 1 {
        mistakes.note(at, "jwks, jwks_uri and metadata_url exclude each other: the keys come from one place");
        return None;
    }
    if let Some(text) = &entry.jwks {
        let keys = mistakes.keep(format_args!("{at}.jwks"), KeySet::parse(text.as_bytes()))?;
        return Some(TrustedKeys::Static(Box::new(keys)));
    }
    if let Some(uri) = &entry.jwks_uri {
        protected_url(uri, &format!("{at}.jwks_uri"), development, mistakes)?;
        return Some(TrustedKeys::At(uri.clone()));
    }
    note_metadata_url(&entry.issuer, &format!("{at}.issuer"), mistakes);
    protected_url(&entry.issuer, &format!("{at}.issuer"), development, mistakes)?;
    if let Some(url) = &entry.metadata_url {
        protected_url(url, &format!("{at}.metadata_url"), development, mistakes)?;
    }
    Some(TrustedKeys::Discovered(entry.metadata_url.clone()))
}

fn read_id_jag(
    table: &IdJagDocument,
    entry: &TrustedIssuerDocument,
    around: Surroundings<'_>,
    at: &str,
    mistakes: &mut Mistakes,
) -> IdJagRules {
    for (key, value) in [("subject_claim", &table.subject_claim), ("groups_claim", &table.groups_claim)] {
        if value.as_ref().is_some_and(String::is_empty) {
            mistakes.note(format_args!("{at}.{key}"), "must not be empty");
        }
    }
    let people = People {
        domains: table.allowed_domains.as_deref().unwrap_or_default(),
        groups: table.allowed_groups.as_deref().unwrap_or_default(),
        users: table.allowed_users.as_deref().unwrap_or_default(),
        anyone: table.anyone.unwrap_or(false),
    };
    let subject_claim = table.subject_claim.clone().unwrap_or_else(|| "sub".to_owned());
    // A user of the login keeps the subject of the login.
    let is_login = around.login.vouches_for(&entry.issuer) && subject_claim == "sub";
    // The subjects of another login begin with the name of the issuer, too: both must mean the same user by one subject.
    let other = around.other_logins.iter().find(|login| login.name == entry.name);
    if other.is_some_and(|login| !login.vouches_for(&entry.issuer) || subject_claim != "sub") {
        let why = "must be sub, here and in the login of the same name: its users would have one subject with others";
        mistakes.note(format_args!("{at}.subject_claim"), why);
    }
    IdJagRules {
        prefix: if is_login { String::new() } else { format!("{}|", entry.name) },
        subject_claim,
        groups_claim: table.groups_claim.clone().unwrap_or_else(|| "groups".to_owned()),
        admission: read_admission(people, at, mistakes),
    }
}

fn read_signals(
    table: &SignalsDocument,
    entry: &TrustedIssuerDocument,
    at: &str,
    around: Surroundings<'_>,
    mistakes: &mut Mistakes,
) -> SignalRules {
    let secret = table.secret.as_ref();
    let secret = secret.and_then(|name| read_long_secret(name, &format!("{at}.secret"), around.secrets, mistakes));
    if table.poll.is_some() && table.secret.is_some() {
        mistakes.note(format_args!("{at}.secret"), "is for signals that the transmitter sends: with poll, remove it");
    }
    let polled = table.poll.as_ref().and_then(|table| read_poll(table, &format!("{at}.poll"), around, mistakes));
    if table.audiences.as_ref().is_some_and(|list| list.is_empty() || list.iter().any(String::is_empty)) {
        mistakes.note(format_args!("{at}.audiences"), "must name at least one audience, and no empty one");
    }
    // Not by the host: providers have many tenants on one.
    let about_login = table.about_login.unwrap_or(entry.issuer == around.login.identity());
    let about_other = around.other_logins.iter().find(|login| login.identity() == entry.issuer);
    if let Some(other) = about_other.filter(|_| about_login) {
        let why = format_args!("is for the issuer of login, and this is that of the login {:?}: remove it", other.name);
        mistakes.note(format_args!("{at}.about_login"), why);
    }
    let about = about_other.or(Some(around.login).filter(|_| about_login));
    if about.is_some_and(|login| !login.tenants.is_empty()) {
        mistakes.note(
            format_args!("{at}.about_login"),
            "cannot be used with login.tenants: users of two tenants may have one name",
        );
    }
    let mut issuers = Vec::new();
    for (index, name) in table.issuers.iter().flatten().enumerate() {
        match around.issuers.iter().find(|issuer| issuer.name == *name) {
            Some(issuer) if !issuer.is_template() => issuers.push(issuer.identifier.clone()),
            Some(_) => mistakes.note(
                format_args!("{at}.issuers[{index}]"),
                format_args!("{name:?} is a template for many issuers: signals are about the users of one"),
            ),
            None => mistakes
                .note(format_args!("{at}.issuers[{index}]"), format_args!("no usable issuer has the name {name:?}")),
        }
    }
    if about.is_none() && issuers.is_empty() && entry.id_jag.is_none() {
        mistakes.note(at, "is about no users: set about_login, issuers, or id_jag of this issuer");
    }
    let own = || vec![format!("{}/signals/{}", around.own, entry.name), around.own.to_owned()];
    SignalRules {
        delivery: match polled {
            Some(transmitter) => SignalDelivery::Poll(transmitter),
            None => SignalDelivery::Push(secret.map(|secret| Secret::new(secret.trim().to_owned()))),
        },
        audiences: table.audiences.clone().unwrap_or_else(own),
        about_login,
        issuers,
    }
}

fn read_poll(
    table: &PollDocument,
    at: &str,
    around: Surroundings<'_>,
    mistakes: &mut Mistakes,
) -> Option<PolledTransmitter> {
    let url = protected_url(&table.url, &format!("{at}.url"), around.development, mistakes);
    let place = format!("{at}.secret");
    let token = read_secret(&table.secret, &place, around.secrets, mistakes)?;
    let token = token.trim();
    // RFC 6750 §2.1
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        mistakes.note(place, "the secret must be an access token: printable ASCII characters without spaces");
    }
    url.map(|_| PolledTransmitter { url: table.url.clone(), token: Secret::new(token.to_owned()) })
}

/// Reads the workload that a client is.
pub(super) fn read_workload(
    table: &WorkloadDocument,
    issuers: &[TrustedIssuerDocument],
    at: &str,
    mistakes: &mut Mistakes,
) -> Option<Workload> {
    if !issuers.iter().any(|issuer| issuer.name == table.issuer) {
        mistakes.note(
            format_args!("{at}.issuer"),
            format_args!("must be the name of an entry of trusted_issuers, got {:?}", table.issuer),
        );
    }
    let subject = mistakes.keep(format_args!("{at}.subject"), Pattern::parse(&table.subject))?;
    if table.subject.chars().all(|character| character == '*') && table.claims.is_none() {
        mistakes.note(
            format_args!("{at}.subject"),
            "must not be * alone: every workload of the issuer would be this client",
        );
    }
    let mut claims = Vec::new();
    for (name, accepted) in table.claims.iter().flatten() {
        if accepted.is_empty() {
            mistakes.note(format_args!("{at}.claims.{name}"), "must name at least one value");
        }
        claims.push((name.clone(), accepted.clone()));
    }
    Some(Workload { issuer: table.issuer.clone(), subject, claims })
}
