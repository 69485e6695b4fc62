//! The identity provider's tokens of a grant, sealed so that only the holder of the grant's code or refresh token can open
//! them.

use serde::{Deserialize, Serialize};

use super::Context;
use crate::authorization_server::handle::Handle;
use crate::authorization_server::login::{Login, ProviderTokens};
use crate::authorization_server::state::grant::SealedProviderTokens;
use crate::authorization_server::state::is_default;
use crate::ports::Ports;
use crate::seal::{Nonce, SealKey};
use crate::strict_json;

/// The tokens that are kept. `Debug` is missing, so that no log shows them.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct HeldTokens {
    pub(super) refresh_token: Option<String>,
    pub(super) access_token: String,
    /// Whose they are: they go to no other provider. None in grants of release 0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    /// Whether the answer of the configured userinfo endpoint had at the login what rights depend on: groups, and the address if the user
    /// has one. Then an answer without groups means that the user has none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) says_rights: bool,
}

impl HeldTokens {
    pub(super) fn of(tokens: ProviderTokens, login: &Login, says_rights: bool) -> Self {
        Self {
            refresh_token: tokens.refresh_token,
            access_token: tokens.access_token,
            provider: Some(login.identity().to_owned()),
            says_rights,
        }
    }

    /// The tokens of an answer to a request with these.
    pub(super) fn renewed(&self, tokens: &ProviderTokens) -> Self {
        let refresh_token = tokens.refresh_token.clone().or_else(|| self.refresh_token.clone());
        Self { refresh_token, access_token: tokens.access_token.clone(), ..self.clone() }
    }

    /// Whether the provider of this login gave them.
    pub(super) fn are_of(&self, login: &Login) -> bool {
        self.provider.as_deref().map_or(login.prefix.is_empty(), |provider| provider == login.identity())
    }

    /// Opens the tokens of a grant with its current refresh token.
    pub(super) fn open(sealed: &SealedProviderTokens, handle: &Handle) -> Option<(Self, SealKey)> {
        let key: [u8; 32] = handle.key().open(&sealed.key, "vault key")?.try_into().ok()?;
        let key = SealKey::random(key);
        let held = strict_json::read(&key.open(&sealed.tokens, "vault")?).ok()?;
        Some((held, key))
    }

    /// Seals tokens in place of those that were opened with this key.
    pub(super) fn seal_again(
        &self,
        key: &SealKey,
        before: &SealedProviderTokens,
        nonce: &Nonce,
    ) -> SealedProviderTokens {
        SealedProviderTokens { key: before.key.clone(), tokens: self.sealed(key, nonce) }
    }

    fn sealed(&self, key: &SealKey, nonce: &Nonce) -> String {
        key.seal(&serde_json::to_vec(self).unwrap_or_default(), "vault", nonce)
    }
}

impl<P: Ports> Context<'_, P> {
    /// Seals the provider's tokens for the holder of a code.
    pub(super) fn seal_tokens(&self, code: &Handle, held: &HeldTokens) -> SealedProviderTokens {
        let bytes = self.random::<32>();
        SealedProviderTokens {
            key: code.key().seal(&bytes, "vault key", &self.nonce()),
            tokens: held.sealed(&SealKey::random(bytes), &self.nonce()),
        }
    }
}
