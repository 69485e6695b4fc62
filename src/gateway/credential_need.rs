//! What a permitted request needs for its origin server.

use std::rc::Rc;

use crate::authorization_server::settings::AuthorizationServer;
use crate::mcp::era::Era;
use crate::oauth::bearer::BearerToken;
use crate::oauth::challenge::insufficient_scope;
use crate::origin_credential::{AttachedCredential, Holder, OriginCredential, UsedCredential};
use crate::pipeline::permit::Permit;
use crate::settings::resource::Resource;
use crate::time::UnixMillis;
use crate::token::principal::Principal;

/// What a token is obtained for.
#[derive(Debug)]
pub(super) struct CredentialNeed {
    pub resource: Rc<Resource>,
    pub credential: Rc<OriginCredential>,
    pub holder: Holder,
    /// The caller's token and its end, if it is exchanged.
    pub subject: Option<(BearerToken, Option<UnixMillis>)>,
    /// The user whose account it is.
    pub user: Option<String>,
    pub era: Era,
}

impl CredentialNeed {
    /// What a permitted request needs for its origin server, if it needs a credential.
    pub(super) fn of(permit: &Permit, server: Option<&AuthorizationServer>) -> Option<Self> {
        let inspected = permit.inspected()?;
        let resource = Rc::clone(permit.resource()?);
        let credential = Rc::clone(resource.credential.as_ref()?);
        let authenticated = inspected.authenticated();
        let subject = authenticated.recognized().zip(authenticated.subject_token());
        let user = match (&*credential, authenticated.principal()) {
            // A client that acts for itself has no account, and no token of `login` is about a user of another login.
            (OriginCredential::PerUser(_), Principal::Subject(user)) => {
                let is_user = server.is_some_and(|server| server.is_user(&user.issuer, &user.subject));
                is_user.then(|| user.subject.clone())
            }
            _ => None,
        };
        let holder = match (credential.is_exchanged(), subject, &user) {
            (true, Some((recognized, _)), _) => Holder::Caller(recognized.exchanged_at(resource.index)),
            (_, _, Some(user)) => Holder::of_subject(user, resource.index),
            _ => Holder::Gateway,
        };
        let subject = subject.map(|(recognized, token)| (token.clone(), recognized.ends()));
        let era = authenticated.request().admitted().era();
        Some(Self { resource, credential, holder, subject, user, era })
    }

    /// The credential for it.
    pub(super) fn attached(&self, used: UsedCredential) -> AttachedCredential {
        AttachedCredential::new(self.resource.index, &self.credential, used)
    }

    /// The scopes that the origin server asks for in a challenge (RFC 6750 §3.1), if it is the user's account that lacks them.
    pub(super) fn more_scopes(&self, challenge: Option<&str>) -> Option<String> {
        let challenge = challenge.filter(|_| self.user.is_some())?;
        insufficient_scope(challenge)
    }

    /// The text for the log.
    pub(super) fn about(&self) -> String {
        format!("resource {:?}, {}", self.resource.path.as_str(), self.credential.kind().name())
    }
}
