//! Conditions of a rule on the caller and its connection. They are one enum: a new condition has to define here its
//! key, what it reads, when it holds and what implies it, and everything else follows from that.

use crate::oauth::scope::{ScopeHierarchy, ScopeSet};
use crate::origin_credential::Kind;
use crate::policy::caller::Caller;
use crate::token::claims::equals_one_of;

/// A condition. It does not hold if the caller lacks what it reads; only `Mtls(false)` holds without a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// All of these scopes.
    Scopes(ScopeSet),
    /// One of these roles.
    Roles(Vec<String>),
    /// One of these groups.
    Groups(Vec<String>),
    /// A claim with one of these values.
    Claim(String, Vec<String>),
    /// One of these subjects.
    Subjects(Vec<String>),
    /// One of these clients.
    Clients(Vec<String>),
    /// One of these issuers, verifiers or API key prefixes, by name.
    Issuers(Vec<String>),
    /// One of these countries (ISO 3166-1 alpha-2).
    Countries(Vec<String>),
    /// One of these networks, by the number of the autonomous system.
    Asns(Vec<u64>),
    /// A client certificate is present (`true`) or absent (`false`).
    Mtls(bool),
    /// The credential that the gateway uses at the origin server is one of these kinds; `None`: it uses none.
    OriginCredential {
        /// The kinds for which the condition holds.
        accepted: Vec<Option<Kind>>,
        /// The kind that the configuration gives the resource.
        used: Option<Kind>,
    },
}

/// What a condition reads about a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact<'a> {
    /// Its scopes.
    Scopes,
    /// Its roles.
    Roles,
    /// Its groups.
    Groups,
    /// A claim.
    Claim(&'a str),
    /// Its subject.
    Subject,
    /// Its client.
    Client,
    /// The name of its issuer, verifier or API key prefix.
    Source,
    /// The country of its connection.
    Country,
    /// The network of its connection.
    Network,
    /// Whether it presented a client certificate.
    Certificate,
    /// The kind of the credential for the origin server: the same for every caller of a resource.
    OriginCredential,
}

impl Fact<'_> {
    /// Its name in the record of a decision, if it is recorded only because rules read it. If a record does not have
    /// this name, the caller may have had a value that the record does not show.
    #[must_use]
    pub fn recorded_as(self) -> Option<String> {
        match self {
            Self::Roles => Some("roles".to_owned()),
            Self::Groups => Some("groups".to_owned()),
            Self::Claim(name) => Some(format!("claims.{name}")),
            // The gateway reads both from the platform together.
            Self::Country | Self::Network => Some("place".to_owned()),
            Self::Certificate => Some("certificate".to_owned()),
            Self::Scopes | Self::Subject | Self::Client | Self::Source | Self::OriginCredential => None,
        }
    }
}

impl Condition {
    /// Its key in the configuration.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::Scopes(_) => "scopes",
            Self::Roles(_) => "roles",
            Self::Groups(_) => "groups",
            Self::Claim(..) => "claims",
            Self::Subjects(_) => "subjects",
            Self::Clients(_) => "clients",
            Self::Issuers(_) => "issuers",
            Self::Countries(_) => "countries",
            Self::Asns(_) => "asns",
            Self::Mtls(_) => "mtls",
            Self::OriginCredential { .. } => "origin_credentials",
        }
    }

    /// What it reads.
    #[must_use]
    pub fn reads(&self) -> Fact<'_> {
        match self {
            Self::Scopes(_) => Fact::Scopes,
            Self::Roles(_) => Fact::Roles,
            Self::Groups(_) => Fact::Groups,
            Self::Claim(name, _) => Fact::Claim(name),
            Self::Subjects(_) => Fact::Subject,
            Self::Clients(_) => Fact::Client,
            Self::Issuers(_) => Fact::Source,
            Self::Countries(_) => Fact::Country,
            Self::Asns(_) => Fact::Network,
            Self::Mtls(_) => Fact::Certificate,
            Self::OriginCredential { .. } => Fact::OriginCredential,
        }
    }

    /// Whether it holds for a caller.
    #[must_use]
    pub fn holds(&self, caller: &Caller, scopes: &ScopeHierarchy) -> bool {
        let subject = &caller.subject;
        let among = |accepted: &[String], values: &[String]| values.iter().any(|value| accepted.contains(value));
        let one = |accepted: &[String], value: Option<&str>| {
            value.is_some_and(|value| accepted.iter().any(|accepted| accepted == value))
        };
        match self {
            Self::Scopes(needed) => scopes.missing(&subject.scopes, needed).is_empty(),
            Self::Roles(accepted) => among(accepted, &subject.rights.roles),
            Self::Groups(accepted) => among(accepted, &subject.rights.groups),
            Self::Claim(name, accepted) => {
                subject.rights.claims.get(name).is_some_and(|value| equals_one_of(value, accepted))
            }
            Self::Subjects(accepted) => {
                one(accepted, Some(&subject.subject).filter(|subject| !subject.is_empty()).map(String::as_str))
            }
            Self::Clients(accepted) => one(accepted, subject.client.as_deref()),
            Self::Issuers(accepted) => one(accepted, caller.source.as_deref()),
            Self::Countries(accepted) => one(accepted, caller.facts.country.as_deref()),
            Self::Asns(accepted) => caller.facts.asn.is_some_and(|asn| accepted.contains(&asn)),
            Self::Mtls(wanted) => *wanted == caller.facts.certificate,
            Self::OriginCredential { accepted, used } => accepted.contains(used),
        }
    }

    /// Whether it holds for every caller for whom `narrower` holds. May return false although it does.
    #[must_use]
    pub fn is_implied_by(&self, narrower: &Self) -> bool {
        fn within<T: PartialEq>(wide: &[T], narrow: &[T]) -> bool {
            narrow.iter().all(|value| wide.contains(value))
        }
        match (self, narrower) {
            (Self::Scopes(few), Self::Scopes(more)) => few.iter().all(|scope| more.iter().any(|other| other == scope)),
            (Self::Claim(name, wide), Self::Claim(other, narrow)) => name == other && within(wide, narrow),
            (Self::Roles(wide), Self::Roles(narrow))
            | (Self::Groups(wide), Self::Groups(narrow))
            | (Self::Subjects(wide), Self::Subjects(narrow))
            | (Self::Clients(wide), Self::Clients(narrow))
            | (Self::Issuers(wide), Self::Issuers(narrow))
            | (Self::Countries(wide), Self::Countries(narrow)) => within(wide, narrow),
            (Self::Asns(wide), Self::Asns(narrow)) => within(wide, narrow),
            (Self::Mtls(one), Self::Mtls(other)) => one == other,
            // Not by what is used: rules that stand at several resources must not be mistakes at one of them.
            (Self::OriginCredential { accepted: wide, .. }, Self::OriginCredential { accepted: narrow, .. }) => {
                within(wide, narrow)
            }
            (
                Self::Scopes(_)
                | Self::Roles(_)
                | Self::Groups(_)
                | Self::Claim(..)
                | Self::Subjects(_)
                | Self::Clients(_)
                | Self::Issuers(_)
                | Self::Countries(_)
                | Self::Asns(_)
                | Self::Mtls(_)
                | Self::OriginCredential { .. },
                _,
            ) => false,
        }
    }
}
