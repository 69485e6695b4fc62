//! Identity providers that are known by name, and their habits.

/// An identity provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginProfile {
    /// None of the others.
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

/// What is known of a provider without configuration.
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
    /// What is known of it.
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

    /// Scopes that are asked for.
    #[must_use]
    pub fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::Github => &["read:user", "user:email", "read:org"],
            Self::Okta => &["openid", "profile", "email", "groups"],
            _ => &["openid", "profile", "email"],
        }
    }

    /// The claim that is the subject.
    #[must_use]
    pub fn subject_claim(self) -> &'static str {
        match self {
            Self::EntraId => "oid",
            Self::Github => "id",
            _ => "sub",
        }
    }

    /// The claim with groups.
    #[must_use]
    pub fn groups_claim(self) -> &'static str {
        match self {
            Self::Keycloak => "/realm_access/roles",
            _ => "groups",
        }
    }

    /// What else is asked with the user's token: where, and the member of claims that the answer becomes. All of it is on the
    /// host of `userinfo_endpoint`, as the token is for that provider alone.
    #[must_use]
    pub fn more_about_the_user(self, userinfo_endpoint: &str) -> Vec<(String, &'static str)> {
        match self {
            Self::Github => ["emails", "orgs"].map(|name| (format!("{userinfo_endpoint}/{name}"), name)).into(),
            Self::Generic | Self::Auth0 | Self::EntraId | Self::Google | Self::Keycloak | Self::Okta => Vec::new(),
        }
    }

    /// How the path of `userinfo_endpoint` must end, where more is asked below it.
    #[must_use]
    pub fn userinfo_ends(self) -> Option<&'static str> {
        match self {
            Self::Github => Some("/user"),
            Self::Generic | Self::Auth0 | Self::EntraId | Self::Google | Self::Keycloak | Self::Okta => None,
        }
    }
}
