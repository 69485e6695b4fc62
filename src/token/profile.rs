//! How identity providers' access tokens differ from RFC 9068. Each supported provider has a profile, which an operator
//! configures; the gateway never guesses it from a token. `docs/identity-providers.md` describes the profiles for
//! operators.

/// The placeholder for the tenant in the issuer identifier of a multi-tenant provider, as in Entra ID's metadata.
pub const TENANT: &str = "{tenantid}";

/// The identity provider whose differences apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// RFC 9068.
    #[default]
    Generic,
    /// Auth0: `aud` has values beside the API's own.
    Auth0,
    /// Cloudflare Access: a header field of its own, and no scopes.
    CloudflareAccess,
    /// Amazon Cognito: no `aud` unless resource binding is used, `token_use`.
    Cognito,
    /// Microsoft Entra ID: `scp`, `roles` of applications, `azp` or `appid`, and audiences that are not resource
    /// identifiers.
    EntraId,
    /// Google: no other party can read its access tokens, so its ID tokens are the credential.
    Google,
    /// Keycloak: `typ` as a claim.
    Keycloak,
    /// Okta: `scp` as an array, `cid`.
    Okta,
}

impl Profile {
    /// The accepted values of the `typ` header if the configuration names none; `absent` means no `typ`.
    #[must_use]
    pub fn token_types(self) -> &'static [&'static str] {
        match self {
            Self::Generic => &["at+jwt"],
            Self::Auth0 => &["at+jwt", "jwt"],
            Self::EntraId | Self::Google => &["jwt"],
            // `at+jwt` if RFC 9068 header types are enabled for the client.
            Self::Keycloak => &["jwt", "at+jwt"],
            Self::CloudflareAccess | Self::Cognito => &["absent", "jwt"],
            Self::Okta => &["absent", "at+jwt", "jwt"],
        }
    }

    /// Claims that hold the scopes.
    #[must_use]
    pub fn scope_claims(self) -> &'static [&'static str] {
        match self {
            Self::Generic => &["scope", "scp"],
            // `permissions` holds all permissions of the user, not those that the client requested and was granted.
            Self::Auth0 | Self::Cognito | Self::Keycloak => &["scope"],
            Self::EntraId => &["scp", "roles"],
            Self::Okta => &["scp"],
            Self::CloudflareAccess | Self::Google => &[],
        }
    }

    /// Claims that hold roles, by name or JSON Pointer; the values of all that are present count.
    #[must_use]
    pub fn role_claims(self) -> &'static [&'static str] {
        match self {
            Self::Keycloak => &["/realm_access/roles"],
            Self::Cognito => &["cognito:roles"],
            _ => &["roles"],
        }
    }

    /// Claims that hold groups; the values of all that are present count.
    #[must_use]
    pub fn group_claims(self) -> &'static [&'static str] {
        match self {
            Self::Cognito => &["cognito:groups"],
            _ => &["groups"],
        }
    }

    /// Claims that name the client: the first that is present and not empty counts.
    #[must_use]
    pub fn client_claims(self) -> &'static [&'static str] {
        match self {
            Self::Generic => &["client_id", "azp"],
            Self::Auth0 | Self::Google | Self::Keycloak => &["azp", "client_id"],
            Self::CloudflareAccess => &["common_name"],
            Self::Cognito => &["client_id"],
            Self::EntraId => &["azp", "appid"],
            Self::Okta => &["cid"],
        }
    }

    /// Claims that name the subject: the first that is present and not empty counts.
    #[must_use]
    pub fn subject_claims(self) -> &'static [&'static str] {
        match self {
            // Service tokens of Cloudflare Access have an empty `sub`.
            Self::CloudflareAccess => &["sub", "common_name"],
            _ => &["sub"],
        }
    }

    /// Whether the client takes the place of an audience in a token without `aud`.
    #[must_use]
    pub fn client_is_audience(self) -> bool {
        self == Self::Cognito
    }

    /// Whether this provider never puts the resource identifier into `aud`, so that an operator must configure
    /// `audiences`.
    #[must_use]
    pub fn needs_audiences(self) -> bool {
        matches!(self, Self::CloudflareAccess | Self::EntraId | Self::Google)
    }

    /// Whether the gateway accepts the provider's ID tokens as credentials.
    #[must_use]
    pub fn takes_id_tokens(self) -> bool {
        self == Self::Google
    }

    /// The claims that distinguish this provider's access tokens from its other tokens: one of them is present, with
    /// this value if one is given.
    #[must_use]
    pub fn marks(self) -> &'static [(&'static str, Option<&'static str>)] {
        match self {
            Self::Cognito => &[("token_use", Some("access"))],
            Self::EntraId => &[("azp", None), ("appid", None)],
            Self::Keycloak => &[("typ", Some("Bearer")), ("typ", Some("DPoP"))],
            Self::Okta => &[("cid", None)],
            Self::Generic | Self::Auth0 | Self::CloudflareAccess | Self::Google => &[],
        }
    }

    /// Claims that only the provider's ID tokens have.
    #[must_use]
    pub fn id_token_claims(self) -> &'static [&'static str] {
        match self {
            Self::Google => &[],
            // Before version 24, Keycloak wrote `nonce` into every token; the `typ` claim distinguishes its tokens
            // instead.
            Self::Keycloak => &["at_hash", "c_hash", "s_hash"],
            _ => &["nonce", "at_hash", "c_hash", "s_hash"],
        }
    }

    /// The URL of the JWK set, if the gateway must not take it from the metadata.
    #[must_use]
    pub fn jwks_uri(self, issuer: &str) -> Option<String> {
        match self {
            Self::CloudflareAccess => Some(format!("{}/cdn-cgi/access/certs", issuer.trim_end_matches('/'))),
            Self::EntraId if issuer.contains(TENANT) => {
                // National clouds have their own keys; `sts.windows.net`, the host in the issuer of version 1,
                // publishes none.
                let host = issuer.strip_prefix("https://")?.split('/').next()?;
                let host = if host == "sts.windows.net" { "login.microsoftonline.com" } else { host };
                Some(format!("https://{host}/common/discovery/v2.0/keys"))
            }
            _ => None,
        }
    }
}
