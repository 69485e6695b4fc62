//! The part of the configuration document that names issuers whose assertions the authorization server accepts.

use deserr::Deserr;

use crate::config::mistakes::Mistakes;
#[cfg(feature = "schema")]
use crate::config::ranges::ASSERTION;
use crate::config::table::Table;

/// An issuer whose assertions (RFC 7523) the token endpoint accepts: an identity provider that manages access for a company
/// (`id_jag`), or a platform that identifies workloads (`clients[].workload` names it).
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct TrustedIssuerDocument {
    /// The name of this issuer in the configuration and in the log. Subjects of its users begin with it, `NAME|SUBJECT`, unless
    /// it is the issuer of `login`.
    pub name: String,

    /// `iss` of its assertions: an issuer identifier such as `https://acme.okta.com`, or, with `jwks` or `jwks_uri`, any text
    /// such as `spiffe://acme.example`.
    pub issuer: String,

    /// The URL of its discovery document. Default: the locations of OpenID Connect Discovery §4 and RFC 8414 §3.
    #[deserr(default)]
    pub metadata_url: Option<String>,

    /// The URL of its keys, in place of discovery.
    #[deserr(default)]
    pub jwks_uri: Option<String>,

    /// Its keys, a JWK set as a JSON string, for an issuer that the gateway cannot reach. Rotating them needs a deployment.
    #[deserr(default)]
    pub jwks: Option<String>,

    /// Values of `aud` that are accepted in addition to the issuer identifier of this authorization server, for a platform that
    /// cannot set it. Each other service that accepts the same audience can use the assertion here. Default: none.
    #[deserr(default)]
    pub audiences: Option<Vec<String>>,

    /// Seconds ahead that `exp` of an assertion may be at most, 60 to 86400. Default: 7200.
    #[deserr(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = ASSERTION.default, "minimum" = ASSERTION.least, "maximum" = ASSERTION.most)))]
    pub max_assertion_seconds: Option<u64>,

    /// Accepts ID-JAGs of this issuer (Enterprise-Managed Authorization): it says which of its users may use which client here,
    /// without a consent page. Default: none are accepted.
    #[deserr(default)]
    pub id_jag: Option<IdJagDocument>,

    /// Receives signals (SETs, RFC 8417) of this issuer (Shared Signals Framework): at `ISSUER/signals/NAME` (RFC 8935), or where
    /// `poll` asks for them (RFC 8936). Access of a user ends when the issuer says so. Default: none are received.
    #[deserr(default)]
    pub signals: Option<SignalsDocument>,

    /// Claims of assertions about workloads, and of ID-JAGs of another issuer than that of `login`, that access tokens contain, so that
    /// rules can test them: `["repository", "ref"]`, or JSON Pointers such as `/kubernetes.io/namespace`. A token has each under the part of its name after the last `/`.
    /// Default: none.
    #[deserr(default)]
    pub token_claims: Option<Vec<String>>,
}

/// Which users an ID-JAG may name. Its scopes are those that its claim `scope` names, as far as the client and
/// `entitlements` allow them.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct IdJagDocument {
    /// The claim that becomes `sub`: the issuer must never give its value to another person. Default: `sub`.
    #[deserr(default)]
    pub subject_claim: Option<String>,

    /// The claim with the user's groups: a name, or a JSON Pointer. Default: `groups`.
    #[deserr(default)]
    pub groups_claim: Option<String>,

    /// Domains of `email` whose users are admitted; the issuer must declare the address verified. Default: none.
    #[deserr(default)]
    pub allowed_domains: Option<Vec<String>>,

    /// Groups whose members are admitted. Default: none.
    #[deserr(default)]
    pub allowed_groups: Option<Vec<String>>,

    /// Users who are admitted, by verified `email` or by subject. Default: none.
    #[deserr(default)]
    pub allowed_users: Option<Vec<String>>,

    /// Every user whom the issuer names is admitted. Required if no domains, groups or users are allowed. Default: `false`.
    #[deserr(default)]
    pub anyone: Option<bool>,
}

/// How signals of an issuer are received.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct SignalsDocument {
    /// The name of the Worker secret that the transmitter must send as `Authorization`, alone or after `Bearer`: 32 characters or
    /// more. Default: none, the signature of a SET is enough.
    #[deserr(default)]
    pub secret: Option<String>,

    /// Asks the transmitter for signals (RFC 8936), in place of the endpoint that receives them. The Worker needs the cron trigger
    /// `* * * * *`. Default: the transmitter sends them.
    #[deserr(default)]
    pub poll: Option<PollDocument>,

    /// Accepted values of `aud`. Default: the URL of the endpoint, and the issuer identifier of this authorization server.
    #[deserr(default)]
    pub audiences: Option<Vec<String>>,

    /// Whether its signals are about users who log in with `login`. Set it if the issuer of `login` is another issuer of the same
    /// company, as a custom authorization server of Okta is. Default: `true` if this is the issuer of `login`, else `false`.
    #[deserr(default)]
    pub about_login: Option<bool>,

    /// Names of `issuers` about whose users its signals are, too: the gateway then refuses their tokens that are older than a signal.
    /// Their tokens must have the subject that the signal names. Default: none.
    #[deserr(default)]
    pub issuers: Option<Vec<String>>,
}

/// A transmitter that the gateway asks for signals.
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct PollDocument {
    /// The `https` URL of its poll endpoint (`delivery.endpoint_url` of the stream).
    pub url: String,

    /// The name of the Worker secret with the access token that the transmitter issued for the stream.
    pub secret: String,
}

/// The workload that a client is: a platform's assertion about it is its credential (`client_assertion`, RFC 7523 §2.2) or its
/// grant (`assertion`, RFC 7523 §2.1).
#[derive(Debug, Deserr)]
#[deserr(deny_unknown_fields, error = Mistakes)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct WorkloadDocument {
    /// The name of the issuer in `trusted_issuers`.
    pub issuer: String,

    /// `sub` of its assertions; `*` matches any characters: `system:serviceaccount:prod:agent`, `spiffe://acme.example/agent`,
    /// `repo:acme/agent:ref:refs/heads/main`.
    pub subject: String,

    /// Claims that an assertion must have, each with its accepted values: `repository_id = ["12345"]`. A key that begins with `/`
    /// is a JSON Pointer. Default: none.
    #[deserr(default)]
    pub claims: Option<Table<Vec<String>>>,
}
