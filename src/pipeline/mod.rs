//! The stages of a request, in order. Each type can be made by its own stage alone, from the value before it, so that having
//! one proves everything above it in this list.
//!
//! | value | made by | what is now true |
//! |---|---|---|
//! | [`Head`](crate::transport::head::Head) | the shell | nothing |
//! | [`Admitted`](admit::Admitted) | [`admit`] | the host is ours, the scheme protects, sizes are bounded, the path has one meaning |
//! | [`Routed`](route::Routed) | [`route`] | it is a public document, a preflight, a path open to everyone, or a request to one protected resource, without a token in its query, with a method and media type that it takes, from no foreign page |
//! | [`Authenticated`](authenticate::Authenticated) | [`authenticate`] | the caller is known: [`Principal`](crate::token::principal::Principal) |
//! | [`Inspected`](inspect::Inspected) | [`inspect`] | what is asked for is known, as far as configuration needs to know it |
//! | [`Permit`](authorize::Permit) | [`authorize`] | the caller may do that |
//! | [`OutboundRequest`](crate::forward::request::OutboundRequest) | [`crate::forward::request`] | it carries nothing that the origin server should not see |
//!
//! Every exit before the end is a [`Rejection`](rejection::Rejection), and one function decides what the caller learns of it:
//! [`disclose`](rejection::Rejection::disclose). What decisions need besides is the
//! [`RequestContext`](context::RequestContext); what the log says is the [`AuditRecord`](audit::AuditRecord).

pub mod admit;
pub mod audit;
pub mod authenticate;
pub mod authorize;
pub mod context;
pub mod inspect;
pub mod record;
pub mod rejection;
pub mod respond;
pub mod route;
