//! Identity providers that the gateway knows by name, and how they differ.

/// An identity provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginProfile {
    /// Any other provider.
    Generic,
    /// Auth0.
    Auth0,
    /// Microsoft Entra ID.
    EntraId,
    /// GitHub.
    Github,
    /// Google.
    Google,
    /// Keycloak.
    Keycloak,
    /// Okta.
    Okta,
}

/// Endpoints of a provider that need no configuration.
#[derive(Debug, Default)]
pub struct KnownEndpoints {
    /// `issuer`
    pub issuer: Option<&'static str>,
    /// `authorization_endpoint`
    pub authorization: Option<&'static str>,
    /// `token_endpoint`
    pub token: Option<&'static str>,
    /// `userinfo_endpoint`
    pub userinfo: Option<&'static str>,
}

impl LoginProfile {
    /// The preset endpoints.
    #[must_use]
    pub fn endpoints(self) -> KnownEndpoints {
        match self {
            Self::Google => KnownEndpoints { issuer: Some("https://accounts.google.com"), ..KnownEndpoints::default() },
            Self::Github => KnownEndpoints {
                issuer: None,
                authorization: Some("https://github.com/login/oauth/authorize"),
                token: Some("https://github.com/login/oauth/access_token"),
                userinfo: Some("https://api.github.com/user"),
            },
            _ => KnownEndpoints::default(),
        }
    }

    /// Scopes that the gateway requests, unless the configuration names others.
    #[must_use]
    pub fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::Github => &["read:user", "user:email", "read:org"],
            Self::Okta => &["openid", "profile", "email", "groups"],
            _ => &["openid", "profile", "email"],
        }
    }

    /// The scope with which it gives a refresh token (OpenID Connect Core §11), unless it has another way.
    #[must_use]
    pub fn offline_scope(self) -> Option<&'static str> {
        match self {
            Self::Generic | Self::Auth0 | Self::EntraId | Self::Keycloak | Self::Okta => Some("offline_access"),
            // The access tokens of a GitHub OAuth app do not expire.
            Self::Github | Self::Google => None,
        }
    }

    /// The parameters of the authorization request with which it gives a refresh token, if a scope is not enough.
    #[must_use]
    pub fn offline_parameters(self) -> &'static [(&'static str, &'static str)] {
        match self {
            // Google gives one only if the user consents.
            Self::Google => &[("access_type", "offline"), ("prompt", "consent")],
            Self::Generic | Self::Auth0 | Self::EntraId | Self::Github | Self::Keycloak | Self::Okta => &[],
        }
    }

    /// The claim that holds the subject, unless the configuration names another.
    #[must_use]
    pub fn subject_claim(self) -> &'static str {
        match self {
            Self::EntraId => "oid",
            Self::Github => "id",
            _ => "sub",
        }
    }

    /// The claim that holds the groups, unless the configuration names another.
    #[must_use]
    pub fn groups_claim(self) -> &'static str {
        match self {
            Self::Keycloak => "/realm_access/roles",
            _ => "groups",
        }
    }

    /// Further requests with the user's token: each URL, and the member of the claims in which the answer is stored.
    /// All of them go to the host of `userinfo_endpoint`, because the token is for that provider alone.
    #[must_use]
    pub fn more_about_the_user(self, userinfo_endpoint: &str) -> Vec<(String, &'static str)> {
        match self {
            Self::Github => ["emails", "orgs"].map(|name| (format!("{userinfo_endpoint}/{name}"), name)).into(),
            Self::Generic | Self::Auth0 | Self::EntraId | Self::Google | Self::Keycloak | Self::Okta => Vec::new(),
        }
    }

    /// How the path of `userinfo_endpoint` must end, if the gateway makes further requests below it.
    #[must_use]
    pub fn userinfo_ends(self) -> Option<&'static str> {
        match self {
            Self::Github => Some("/user"),
            Self::Generic | Self::Auth0 | Self::EntraId | Self::Google | Self::Keycloak | Self::Okta => None,
        }
    }
}
