//! What identity providers do differently in their access tokens: each habit that is known has a name, and nothing is
//! guessed from a token. `docs/identity-providers.md` tells users the same.

/// What stands for the tenant in the issuer identifier of a multi-tenant provider, as Entra ID's metadata has it.
pub const TENANT: &str = "{tenantid}";

/// A provider's habits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// RFC 9068.
    #[default]
    Generic,
    /// Auth0: audiences beside the API's own.
    Auth0,
    /// Cloudflare Access: its assertion field, no scopes.
    CloudflareAccess,
    /// Amazon Cognito: no `aud` unless resource binding is used, `token_use`.
    Cognito,
    /// Microsoft Entra ID: `scp`, `roles` of applications, `azp` or `appid`, audiences that are no resource.
    EntraId,
    /// Google: access tokens are opaque to everyone else, so its ID tokens are the credential.
    Google,
    /// Keycloak: `typ` inside the claims.
    Keycloak,
    /// Okta: `scp` as an array, `cid`.
    Okta,
}

impl Profile {
    /// Values of the `typ` header where configuration names none; `absent` is no `typ` at all.
    #[must_use]
    pub fn token_types(self) -> &'static [&'static str] {
        match self {
            Self::Generic => &["at+jwt"],
            Self::Auth0 => &["at+jwt", "jwt"],
            Self::EntraId | Self::Google => &["jwt"],
            // The second where a client has RFC 9068 header types switched on.
            Self::Keycloak => &["jwt", "at+jwt"],
            Self::CloudflareAccess | Self::Cognito => &["absent", "jwt"],
            Self::Okta => &["absent", "at+jwt", "jwt"],
        }
    }

    /// Claims that hold what the caller may do.
    #[must_use]
    pub fn scope_claims(self) -> &'static [&'static str] {
        match self {
            Self::Generic => &["scope", "scp"],
            // `permissions` are all that its user has, not what the client asked for and was given.
            Self::Auth0 | Self::Cognito | Self::Keycloak => &["scope"],
            Self::EntraId => &["scp", "roles"],
            Self::Okta => &["scp"],
            Self::CloudflareAccess | Self::Google => &[],
        }
    }

    /// Claims that hold roles, by name or JSON Pointer; all that are there count.
    #[must_use]
    pub fn role_claims(self) -> &'static [&'static str] {
        match self {
            Self::Keycloak => &["/realm_access/roles"],
            Self::Cognito => &["cognito:roles"],
            _ => &["roles"],
        }
    }

    /// Claims that hold groups.
    #[must_use]
    pub fn group_claims(self) -> &'static [&'static str] {
        match self {
            Self::Cognito => &["cognito:groups"],
            _ => &["groups"],
        }
    }

    /// Claims that name the client: the first that is there.
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

    /// Claims that name the subject: the first that is there and not empty.
    #[must_use]
    pub fn subject_claims(self) -> &'static [&'static str] {
        match self {
            // Service tokens of Access have an empty `sub`.
            Self::CloudflareAccess => &["sub", "common_name"],
            _ => &["sub"],
        }
    }

    /// Whether the client stands in for an audience that the token does not have.
    #[must_use]
    pub fn client_is_audience(self) -> bool {
        self == Self::Cognito
    }

    /// Whether the resource identifier is never in this provider's `aud`, so that configuration must say what is.
    #[must_use]
    pub fn needs_audiences(self) -> bool {
        matches!(self, Self::CloudflareAccess | Self::EntraId | Self::Google)
    }

    /// Whether the provider's ID tokens are the credential.
    #[must_use]
    pub fn takes_id_tokens(self) -> bool {
        self == Self::Google
    }

    /// What tells this provider's access tokens from its other tokens: one of these claims is there, with this value
    /// where one is given.
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

    /// Claims that only the provider's ID tokens carry.
    #[must_use]
    pub fn id_token_claims(self) -> &'static [&'static str] {
        match self {
            Self::Google => &[],
            // Until version 24 it wrote `nonce` into every token; `typ` in the claims tells them apart.
            Self::Keycloak => &["at_hash", "c_hash", "s_hash"],
            _ => &["nonce", "at_hash", "c_hash", "s_hash"],
        }
    }

    /// Where the keys are, where that is not for discovery to say.
    #[must_use]
    pub fn jwks_uri(self, issuer: &str) -> Option<String> {
        match self {
            Self::CloudflareAccess => Some(format!("{}/cdn-cgi/access/certs", issuer.trim_end_matches('/'))),
            Self::EntraId if issuer.contains(TENANT) => {
                // National clouds have keys of their own; `sts.windows.net`, the host of version 1, has none.
                let host = issuer.strip_prefix("https://")?.split('/').next()?;
                let host = if host == "sts.windows.net" { "login.microsoftonline.com" } else { host };
                Some(format!("https://{host}/common/discovery/v2.0/keys"))
            }
            _ => None,
        }
    }
}
