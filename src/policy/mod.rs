//! The fifth stage: what the caller may do.

use crate::config::{Config, OriginServer};
use crate::pipeline::{Admitted, Inspected, Principal, PublicRequest};
use crate::rejection::Rejection;

/// Proof that a request may be forwarded. Only this module makes it.
#[derive(Debug)]
pub struct Permit {
    request: Permitted,
}

#[derive(Debug)]
enum Permitted {
    Public(Box<PublicRequest>),
    Resource(Box<Inspected>),
}

impl Permit {
    /// The request.
    #[must_use]
    pub fn admitted(&self) -> &Admitted {
        match &self.request {
            Permitted::Public(request) => request.admitted(),
            Permitted::Resource(inspected) => inspected.authenticated().request().admitted(),
        }
    }

    /// The caller.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        match &self.request {
            Permitted::Public(_) => &Principal::Anonymous,
            Permitted::Resource(inspected) => inspected.authenticated().principal(),
        }
    }

    /// Where the request may go, what of its path is appended there, and the largest body that it may have.
    #[must_use]
    pub fn destination<'a>(&'a self, config: &'a Config) -> Option<(&'a OriginServer, &'a str, u64)> {
        match &self.request {
            Permitted::Public(request) => Some((&config.public_paths.get(request.index())?.origin, "", 0)),
            Permitted::Resource(inspected) => {
                let request = inspected.authenticated().request();
                let resource = config.resources.get(request.index())?;
                let below = request.admitted().path().under(&resource.path)?;
                Some((&resource.origin, below, resource.body_bytes))
            }
        }
    }
}

/// Permits a request whose caller has every scope that the resource asks for, by itself or through the hierarchy
/// (R10).
///
/// # Errors
/// [`Rejection::InsufficientScope`] with all that is missing at once.
pub fn authorize(inspected: Inspected, config: &Config) -> Result<Permit, Rejection> {
    let request = inspected.authenticated().request();
    let resource = config.resources.get(request.index()).ok_or(Rejection::Internal("resource index"))?;
    let Principal::Subject(subject) = inspected.authenticated().principal() else {
        return Err(Rejection::NoCredentials);
    };
    let missing = config.scopes.missing(&subject.scopes, &resource.scopes);
    if missing.is_empty() {
        Ok(Permit { request: Permitted::Resource(Box::new(inspected)) })
    } else {
        Err(Rejection::InsufficientScope { missing })
    }
}

/// Permits a request for a path that configuration opens to everyone.
#[must_use]
pub fn open(request: PublicRequest) -> Permit {
    Permit { request: Permitted::Public(Box::new(request)) }
}
